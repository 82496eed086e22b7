"""Logs of servers and systems: samples, and the records they become."""

# ruff: noqa: E501
import json
from datetime import UTC, datetime

import pytest

from tocsin.logs.formats.text import detect, records

NOW = datetime(2026, 11, 25, tzinfo=UTC)

# Lines, `=>`, then a line for each record: timestamp, level, service, attributes, message (a line end is shown as ⏎).
SAMPLES = {
    "epoch in the fifth column": r"""
90017 rack-12 fabric.sw port.down 1709290800 1 Port State Change: Port 7 is down (ID=4411)
90018 rack-07 fabric.sw port.down 1709290815 1 Port State Change: Port 9 is down (ID=4419)
90044 rack-12 fabric.sw link.up 1709294400 1 LINK: rack rack-12 sees a network again via interface en0
90051 rack-31 job error 1709298000 1 start (command 77) Error: No answer in time
=>
2024-03-01T11:00:00.000000Z INFO null {"column_0": "90017", "column_1": "rack-12", "column_2": "fabric.sw", "column_3": "port.down", "column_5": "1"} | Port State Change: Port 7 is down (ID=4411)
2024-03-01T11:00:15.000000Z INFO null {"column_0": "90018", "column_1": "rack-07", "column_2": "fabric.sw", "column_3": "port.down", "column_5": "1"} | Port State Change: Port 9 is down (ID=4419)
2024-03-01T12:00:00.000000Z INFO null {"column_0": "90044", "column_1": "rack-12", "column_2": "fabric.sw", "column_3": "link.up", "column_5": "1"} | LINK: rack rack-12 sees a network again via interface en0
2024-03-01T13:00:00.000000Z INFO null {"column_0": "90051", "column_1": "rack-31", "column_2": "job", "column_3": "error", "column_5": "1"} | start (command 77) Error: No answer in time
""",
    "syslog with modules and versions": r"""
Jun 14 15:16:01 harbor sshd(pam_unix)[1939]: authentication failure; logname= uid=0 tty=ssh rhost=192.0.2.4
Jun 15 04:06:18 harbor su(pam_unix)[2141]: session opened for user mara by (uid=0)
Jun 15 04:06:20 harbor logrotate: ALERT exited abnormally with [1]
Jul 27 14:41:57 harbor syslogd 1.4.1: restart.
Jun 30 22:16:32 harbor  -- root[242]: ROOT LOGIN ON tty2
=>
2026-06-14T15:16:01.000000Z INFO "sshd" {"host": "harbor", "logger": "sshd(pam_unix)", "pid": 1939} | authentication failure; logname= uid=0 tty=ssh rhost=192.0.2.4
2026-06-15T04:06:18.000000Z INFO "su" {"host": "harbor", "logger": "su(pam_unix)", "pid": 2141} | session opened for user mara by (uid=0)
2026-06-15T04:06:20.000000Z INFO "logrotate" {"host": "harbor"} | ALERT exited abnormally with [1]
2026-07-27T14:41:57.000000Z INFO "syslogd" {"host": "harbor", "logger": "syslogd 1.4.1"} | restart.
2026-06-30T22:16:32.000000Z INFO "root" {"host": "harbor", "pid": 242} | ROOT LOGIN ON tty2
""",
    "syslog with spaces and contexts": r"""
Jul  1 09:00:55 desk-4.lan kernel[0]: Bus<0>(0x0)::poll - packet for route = 0x0 port = 11
Jul  1 09:03:20 desk-4.lan com.example.launcher[1] (com.example.helper[3210]): Endpoint was activated.
Jul  1 09:04:37 desk-4.lan --- last message repeated 1 time ---
Jul  1 10:04:42 desk-4.lan Some Browser[1377]: tab closed
Jul  1 10:04:42 desk-4.lan guard[129] ([3121]): helper(3121) deny network-outbound
=>
2026-07-01T09:00:55.000000Z INFO "kernel" {"host": "desk-4.lan", "pid": 0} | Bus<0>(0x0)::poll - packet for route = 0x0 port = 11
2026-07-01T09:03:20.000000Z INFO "com.example.launcher" {"context": "com.example.helper[3210]", "host": "desk-4.lan", "pid": 1} | Endpoint was activated.
2026-07-01T09:04:37.000000Z INFO null {"host": "desk-4.lan"} | --- last message repeated 1 time ---
2026-07-01T10:04:42.000000Z INFO "Some Browser" {"host": "desk-4.lan", "logger": "Some Browser", "pid": 1377} | tab closed
2026-07-01T10:04:42.000000Z INFO "guard" {"context": "[3121]", "host": "desk-4.lan", "pid": 129} | helper(3121) deny network-outbound
""",
    "epoch before a syslog line": r"""
- 1709290800 2024.03.01 n228 Mar 1 03:00:00 n228/n228 crond(pam_unix)[2915]: session closed for user mara
- 1709290801 2024.03.01 n73 Mar 1 03:00:01 n73/n73 crond[2917]: (root) CMD (backup)
MEMERR 1709290819 2024.03.01 admin1 Mar 1 03:00:19 local@admin1 kernel: no answer from [dimm4]
- 1709290828 2024.03.01 n142 Mar 1 03:00:28 n142/n142 ntpd[7467]: synchronized to 192.0.2.250, stratum 3
=>
2024-03-01T11:00:00.000000Z INFO "crond" {"column_3": "n228", "date": "2024.03.01", "host": "n228/n228", "local_time": "Mar 1 03:00:00", "logger": "crond(pam_unix)", "pid": 2915} | session closed for user mara
2024-03-01T11:00:01.000000Z INFO "crond" {"column_3": "n73", "date": "2024.03.01", "host": "n73/n73", "local_time": "Mar 1 03:00:01", "pid": 2917} | (root) CMD (backup)
2024-03-01T11:00:19.000000Z INFO "kernel" {"column_3": "admin1", "date": "2024.03.01", "host": "local@admin1", "label": "MEMERR", "local_time": "Mar 1 03:00:19"} | no answer from [dimm4]
2024-03-01T11:00:28.000000Z INFO "ntpd" {"column_3": "n142", "date": "2024.03.01", "host": "n142/n142", "local_time": "Mar 1 03:00:28", "pid": 7467} | synchronized to 192.0.2.250, stratum 3
""",
    "program, dash, message": r"""
[10.30 16:49:06] browser.exe - proxy.example:5070 open through proxy proxy.example:5070 HTTPS
[10.30 16:49:07] browser.exe - proxy.example:5070 close, 0 bytes sent, 0 bytes received, lifetime 00:01
[10.30 16:49:08] browser.exe *64 - proxy.example:5070 close, 451 bytes sent, lifetime <1 sec
=>
2026-10-30T16:49:06.000000Z INFO null {"logger": "browser.exe"} | proxy.example:5070 open through proxy proxy.example:5070 HTTPS
2026-10-30T16:49:07.000000Z INFO null {"logger": "browser.exe"} | proxy.example:5070 close, 0 bytes sent, 0 bytes received, lifetime 00:01
2026-10-30T16:49:08.000000Z INFO null {"logger": "browser.exe *64"} | proxy.example:5070 close, 451 bytes sent, lifetime <1 sec
""",
    "padded columns": r"""
2016-09-28 04:30:30, Info                  CBS    Loaded the servicing stack with Core: C:\Windows\core.dll
2016-09-28 04:30:31, Info                  CSI    00000001@2016/9/28:04:30:31.455 Initialised (0.0.0.6) at @0x7fe
2016-09-28 04:30:31, Info                  CBS    SQM: Going online: False
2016-09-29 00:04:34, Error                 CBS    Could not read the next element
=>
2016-09-28T04:30:30.000000Z INFO null {"logger": "CBS"} | Loaded the servicing stack with Core: C:\Windows\core.dll
2016-09-28T04:30:31.000000Z INFO null {"logger": "CSI"} | 00000001@2016/9/28:04:30:31.455 Initialised (0.0.0.6) at @0x7fe
2016-09-28T04:30:31.000000Z INFO null {"logger": "CBS"} | SQM: Going online: False
2016-09-29T00:04:34.000000Z ERROR null {"logger": "CBS"} | Could not read the next element
""",
    "thread, class and line in one bracket": r"""
2026-07-29 17:41:44,747 - INFO  [Peer[myid=1]/0:0:0:0:0:0:0:0:2181:Election@774] - No answer in time: 3200
2026-07-29 19:04:12,394 - INFO  [/192.0.2.11:3888:Cnx$Listener@493] - Connection request /192.0.2.12:45307
2026-07-29 19:04:29,071 - WARN  [Sender:77:Cnx$Sender@688] - Sender ends
2026-07-29 19:13:27,721 - ERROR [main:PeerMain@127] - Closed for good
=>
2026-07-29T17:41:44.747000Z INFO null {"line": 774, "logger": "Election", "thread": "Peer[myid=1]/0:0:0:0:0:0:0:0:2181"} | No answer in time: 3200
2026-07-29T19:04:12.394000Z INFO null {"line": 493, "logger": "Cnx$Listener", "thread": "/192.0.2.11:3888"} | Connection request /192.0.2.12:45307
2026-07-29T19:04:29.071000Z WARNING null {"line": 688, "logger": "Cnx$Sender", "thread": "Sender:77"} | Sender ends
2026-07-29T19:13:27.721000Z ERROR null {"line": 127, "logger": "PeerMain", "thread": "main"} | Closed for good
""",
    "bars and unpadded times": r"""
20261123-22:15:29:606|Walk_Counter|30002312|onStep 3579
20261123-22:15:29:615|Walk_Counter|30002312|onMore:14 0 4
20261124-0:7:20:444|Walk_Store|30002312| total = 14##6993##54
20261123-22:15:29:66|Walk_Report|30002312|onReceive action:screen.ON
=>
2026-11-23T22:15:29.606000Z INFO null {"logger": "Walk_Counter", "pid": 30002312} | onStep 3579
2026-11-23T22:15:29.615000Z INFO null {"logger": "Walk_Counter", "pid": 30002312} | onMore:14 0 4
2026-11-24T00:07:20.444000Z INFO null {"logger": "Walk_Store", "pid": 30002312} | total = 14##6993##54
2026-11-23T22:15:29.066000Z INFO null {"logger": "Walk_Report", "pid": 30002312} | onReceive action:screen.ON
""",
    "nginx access": r"""
127.0.0.1 - - [24/Nov/2026:02:21:00 +0100] "GET /a HTTP/1.1" 200 612 "-" "curl/7.68"
10.0.0.7 - bob [24/Nov/2026:02:21:01 +0100] "POST /api/x?y=1 HTTP/1.1" 502 150 "http://x/" "Mozilla/5.0 (X11; Linux)"
::1 - - [24/Nov/2026:02:21:02 +0100] "-" 400 0 "-" "-"
127.0.0.1 - - [24/Nov/2026:02:21:03 +0100] "GET /b HTTP/2.0" 404 12 "-" "Mozilla/5.0"
=>
2026-11-24T01:21:00.000000Z INFO null {"client": "127.0.0.1", "method": "GET", "path": "/a", "status": 200} | "GET /a HTTP/1.1" 200 612 "-" "curl/7.68"
2026-11-24T01:21:01.000000Z INFO null {"client": "10.0.0.7", "method": "POST", "path": "/api/x?y=1", "status": 502, "user": "bob"} | "POST /api/x?y=1 HTTP/1.1" 502 150 "http://x/" "Mozilla/5.0 (X11; Linux)"
2026-11-24T01:21:02.000000Z INFO null {"client": "::1"} | "-" 400 0 "-" "-"
2026-11-24T01:21:03.000000Z INFO null {"client": "127.0.0.1", "method": "GET", "path": "/b", "status": 404} | "GET /b HTTP/2.0" 404 12 "-" "Mozilla/5.0"
""",
    "nginx error": r"""
2026/11/24 02:21:00 [error] 1234#0: *5 open() "/usr/share/nginx/html/x" failed (2: No such file or directory), client: 127.0.0.1
2026/11/24 02:21:01 [notice] 1234#0: signal process started
2026/11/24 02:21:02 [crit] 1235#1235: *7 SSL_do_handshake() failed
=>
2026-11-24T02:21:00.000000Z ERROR null {"pid": 1234, "tid": 0} | *5 open() "/usr/share/nginx/html/x" failed (2: No such file or directory), client: 127.0.0.1
2026-11-24T02:21:01.000000Z INFO null {"pid": 1234, "tid": 0} | signal process started
2026-11-24T02:21:02.000000Z CRITICAL null {"pid": 1235, "tid": 1235} | *7 SSL_do_handshake() failed
""",
    "apache24": r"""
[Tue Nov 24 02:21:00.123456 2026] [core:error] [pid 1234:tid 139872] [client 1.2.3.4:5678] AH00037: Symbolic link not allowed
[Tue Nov 24 02:21:00.223456 2026] [mpm_event:notice] [pid 1234:tid 139872] AH00489: Apache/2.4.41 (Ubuntu) configured -- resuming normal operations
[Tue Nov 24 02:21:01.123456 2026] [ssl:warn] [pid 1235:tid 139873] AH01909: server certificate does NOT include an ID
[Tue Nov 24 02:21:02.123456 2026] [php7:emerg] [pid 1235:tid 139873] [client 1.2.3.4:5678] oh
=>
2026-11-24T02:21:00.123456Z ERROR null {"logger": "core", "pid": 1234, "tid": 139872} | [client 1.2.3.4:5678] AH00037: Symbolic link not allowed
2026-11-24T02:21:00.223456Z INFO null {"logger": "mpm_event", "pid": 1234, "tid": 139872} | AH00489: Apache/2.4.41 (Ubuntu) configured -- resuming normal operations
2026-11-24T02:21:01.123456Z WARNING null {"logger": "ssl", "pid": 1235, "tid": 139873} | AH01909: server certificate does NOT include an ID
2026-11-24T02:21:02.123456Z CRITICAL null {"logger": "php7", "pid": 1235, "tid": 139873} | [client 1.2.3.4:5678] oh
""",
    "rsyslog": r"""
2026-11-24T02:21:00.123456+01:00 web1 systemd[1]: Started Session 12 of user root.
2026-11-24T02:21:01.123456+01:00 web1 CRON[4321]: (root) CMD (test)
2026-11-24T02:21:02.123456+01:00 web1 kernel: usb 1-1: new device
=>
2026-11-24T01:21:00.123456Z INFO "systemd" {"host": "web1", "pid": 1} | Started Session 12 of user root.
2026-11-24T01:21:01.123456Z INFO "CRON" {"host": "web1", "pid": 4321} | (root) CMD (test)
2026-11-24T01:21:02.123456Z INFO "kernel" {"host": "web1"} | usb 1-1: new device
""",
    "postgres": r"""
2026-11-24 02:21:00.123 UTC [1234] LOG:  database system is ready to accept connections
2026-11-24 02:21:01.123 UTC [1240] LOG:  checkpoint starting: time
2026-11-24 02:21:02.123 UTC [1250] postgres@app ERROR:  relation "x" does not exist at character 15
2026-11-24 02:21:02.123 UTC [1250] postgres@app STATEMENT:  SELECT *
    FROM x
2026-11-24 02:21:03.123 UTC [1251] postgres@app FATAL:  password authentication failed
2026-11-24 02:21:03.123 UTC [1240] LOG:  checkpoint complete: wrote 3 buffers
2026-11-24 02:21:03.123 UTC [1240] LOG:  checkpoint complete: wrote 3 buffers
=>
2026-11-24T02:21:00.123000Z INFO null {"pid": 1234} | database system is ready to accept connections
2026-11-24T02:21:01.123000Z INFO null {"pid": 1240} | checkpoint starting: time
2026-11-24T02:21:02.123000Z ERROR null {"context": "postgres@app", "pid": 1250} | relation "x" does not exist at character 15
2026-11-24T02:21:02.123000Z INFO null {"pid": 1250} | postgres@app STATEMENT:  SELECT *⏎    FROM x
2026-11-24T02:21:03.123000Z CRITICAL null {"context": "postgres@app", "pid": 1251} | password authentication failed
2026-11-24T02:21:03.123000Z INFO null {"pid": 1240} | checkpoint complete: wrote 3 buffers
2026-11-24T02:21:03.123000Z INFO null {"pid": 1240} | checkpoint complete: wrote 3 buffers
""",
    "redis": r"""
1234:M 24 Nov 2026 02:21:00.123 * Ready to accept connections
1234:C 24 Nov 2026 02:21:01.123 # WARNING overcommit_memory is set to 0!
1234:M 24 Nov 2026 02:21:02.123 - DB 0: 1 keys
1234:M 24 Nov 2026 02:21:02.123 . 0 clients connected
=>
2026-11-24T02:21:00.123000Z INFO null {"pid": 1234, "role": "M"} | Ready to accept connections
2026-11-24T02:21:01.123000Z WARNING null {"pid": 1234, "role": "C"} | WARNING overcommit_memory is set to 0!
2026-11-24T02:21:02.123000Z DEBUG null {"pid": 1234, "role": "M"} | DB 0: 1 keys
2026-11-24T02:21:02.123000Z DEBUG null {"pid": 1234, "role": "M"} | 0 clients connected
""",
    "mongo": r"""
2026-11-24T02:21:00.123+0000 I NETWORK  [conn123] received client metadata from 127.0.0.1
2026-11-24T02:21:00.124+0000 I COMMAND  [conn123] command admin.$cmd
2026-11-24T02:21:00.125+0000 W STORAGE  [initandlisten] x
2026-11-24T02:21:00.126+0000 I -        [conn3] end connection
2026-11-24T02:21:00.127+0000 E QUERY    [conn7] bad
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "NETWORK", "thread": "conn123"} | received client metadata from 127.0.0.1
2026-11-24T02:21:00.124000Z INFO null {"logger": "COMMAND", "thread": "conn123"} | command admin.$cmd
2026-11-24T02:21:00.125000Z WARNING null {"logger": "STORAGE", "thread": "initandlisten"} | x
2026-11-24T02:21:00.126000Z INFO null {"thread": "conn3"} | end connection
2026-11-24T02:21:00.127000Z ERROR null {"logger": "QUERY", "thread": "conn7"} | bad
""",
    "mysql": r"""
2026-11-24T02:21:00.123456Z 0 [Warning] [MY-010068] [Server] CA certificate ca.pem is self signed.
2026-11-24T02:21:00.223456Z 0 [System] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections.
2026-11-24T02:21:00.323456Z 8 [ERROR] [MY-012345] [InnoDB] Oops
2026-11-24T02:21:00.323456Z 8 [Note] [MY-012346] [InnoDB] Fine
=>
2026-11-24T02:21:00.123456Z WARNING null {"code": "MY-010068", "column_1": "0", "logger": "Server"} | CA certificate ca.pem is self signed.
2026-11-24T02:21:00.223456Z INFO null {"code": "MY-010931", "column_1": "0", "logger": "Server", "severity": "System"} | /usr/sbin/mysqld: ready for connections.
2026-11-24T02:21:00.323456Z ERROR null {"code": "MY-012345", "column_1": "8", "logger": "InnoDB"} | Oops
2026-11-24T02:21:00.323456Z INFO null {"code": "MY-012346", "column_1": "8", "logger": "InnoDB", "severity": "Note"} | Fine
""",
    "squid": r"""
1286536309.586    921 192.0.2.68 TCP_MISS/200 507 POST http://example/a - DIRECT/192.0.2.128 text/html
1286536310.586     20 192.0.2.69 TCP_HIT/200 507 GET http://x/ - NONE/- text/html
=>
2010-10-08T11:11:49.586000Z INFO null {} | 921 192.0.2.68 TCP_MISS/200 507 POST http://example/a - DIRECT/192.0.2.128 text/html
2010-10-08T11:11:50.586000Z INFO null {} | 20 192.0.2.69 TCP_HIT/200 507 GET http://x/ - NONE/- text/html
""",
    "supervisord": r"""
2026-11-24 02:21:00,123 CRIT Supervisor running as root (no user in config file)
2026-11-24 02:21:00,124 INFO supervisord started with pid 1
2026-11-24 02:21:01,125 INFO spawned: 'web' with pid 9
2026-11-24 02:21:02,126 INFO success: web entered RUNNING state, process has stayed up
2026-11-24 02:21:02,126 ERRO pool xx event buffer overflowed
=>
2026-11-24T02:21:00.123000Z CRITICAL null {} | Supervisor running as root (no user in config file)
2026-11-24T02:21:00.124000Z INFO null {} | supervisord started with pid 1
2026-11-24T02:21:01.125000Z INFO null {} | spawned: 'web' with pid 9
2026-11-24T02:21:02.126000Z INFO null {} | success: web entered RUNNING state, process has stayed up
2026-11-24T02:21:02.126000Z ERROR null {} | pool xx event buffer overflowed
""",
    "kafka": r"""
[2026-11-24 02:21:00,123] INFO [KafkaServer id=0] started (kafka.server.KafkaServer)
[2026-11-24 02:21:00,223] WARN No meta.properties file under dir /tmp (kafka.server.BrokerMetadataCheckpoint)
[2026-11-24 02:21:01,123] ERROR Error while fetching (org.apache.kafka.clients.NetworkClient)
=>
2026-11-24T02:21:00.123000Z INFO null {} | [KafkaServer id=0] started (kafka.server.KafkaServer)
2026-11-24T02:21:00.223000Z WARNING null {} | No meta.properties file under dir /tmp (kafka.server.BrokerMetadataCheckpoint)
2026-11-24T02:21:01.123000Z ERROR null {} | Error while fetching (org.apache.kafka.clients.NetworkClient)
""",
    "cassandra": r"""
INFO  [main] 2026-11-24 02:21:00,123 CassandraDaemon.java:507 - Classpath: foo
WARN  [CompactionExecutor:3] 2026-11-24 02:21:01,123 BigTableWriter.java:211 - Writing large partition
ERROR [main] 2026-11-24 02:21:02,123 CassandraDaemon.java:705 - boom
=>
2026-11-24T02:21:00.123000Z INFO null {"caller": "CassandraDaemon.java:507", "thread": "main"} | Classpath: foo
2026-11-24T02:21:01.123000Z WARNING null {"caller": "BigTableWriter.java:211", "thread": "CompactionExecutor:3"} | Writing large partition
2026-11-24T02:21:02.123000Z ERROR null {"caller": "CassandraDaemon.java:705", "thread": "main"} | boom
""",
    "elastic": r"""
[2026-11-24T02:21:00,123][INFO ][o.e.n.Node               ] [node-1] initialized
[2026-11-24T02:21:00,223][WARN ][o.e.b.BootstrapChecks    ] [node-1] max virtual memory areas too low
[2026-11-24T02:21:01,123][ERROR][o.e.x.Foo                ] [node-1] boom
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "o.e.n.Node", "thread": "node-1"} | initialized
2026-11-24T02:21:00.223000Z WARNING null {"logger": "o.e.b.BootstrapChecks", "thread": "node-1"} | max virtual memory areas too low
2026-11-24T02:21:01.123000Z ERROR null {"logger": "o.e.x.Foo", "thread": "node-1"} | boom
""",
    "weblogic": r"""
<Nov 24, 2026 2:21:00 AM CET> <Notice> <WebLogicServer> <BEA-000365> <Server state changed to STARTING.>
<Nov 24, 2026 2:21:01 AM CET> <Error> <Deployer> <BEA-149205> <Failed to initialize>
<Nov 24, 2026 2:21:01 AM CET> <Info> <Security> <BEA-090905> <Disabling>
=>
2026-11-24T01:21:00.000000Z INFO null {"code": "BEA-000365", "logger": "WebLogicServer"} | <Server state changed to STARTING.>
2026-11-24T01:21:01.000000Z ERROR null {"code": "BEA-149205", "logger": "Deployer"} | <Failed to initialize>
2026-11-24T01:21:01.000000Z INFO null {"code": "BEA-090905", "logger": "Security"} | <Disabling>
""",
    "vmware": r"""
2026-11-24T02:21:00.123Z info vpxd[12345] [Originator@6876 sub=vpxLro opID=abc] [VpxLRO] -- BEGIN task
2026-11-24T02:21:01.123Z warning vpxd[12346] [Originator@6876 sub=Default] hm
2026-11-24T02:21:01.123Z error vpxd[12346] [Originator@6876 sub=Default] boom
=>
2026-11-24T02:21:00.123000Z INFO null {"context": "Originator@6876 sub=vpxLro opID=abc", "logger": "vpxd", "pid": 12345} | [VpxLRO] -- BEGIN task
2026-11-24T02:21:01.123000Z WARNING null {"context": "Originator@6876 sub=Default", "logger": "vpxd", "pid": 12346} | hm
2026-11-24T02:21:01.123000Z ERROR null {"context": "Originator@6876 sub=Default", "logger": "vpxd", "pid": 12346} | boom
""",
    "ceph": r"""
2026-11-24 02:21:00.123 7f1234567700  0 log_channel(cluster) log [INF] : pgmap v1
2026-11-24 02:21:00.223 7f1234567700 -1 osd.3 1234 heartbeat_check: no reply
=>
2026-11-24T02:21:00.123000Z INFO null {} | 7f1234567700  0 log_channel(cluster) log [INF] : pgmap v1
2026-11-24T02:21:00.223000Z INFO null {} | 7f1234567700 -1 osd.3 1234 heartbeat_check: no reply
""",
    "android brief": r"""
D/WindowManager( 170): display off
I/ActivityManager(  800): Start proc
W/art     ( 1234): hm
=>
- DEBUG null {"logger": "WindowManager", "pid": 170} | display off
- INFO null {"logger": "ActivityManager", "pid": 800} | Start proc
- WARNING null {"logger": "art", "pid": 1234} | hm
""",
    "android time": r"""
03-17 16:13:38.811 D/WindowManager( 170): display off
03-17 16:13:38.812 I/ActivityManager(  800): Start proc
03-17 16:13:39.812 E/AndroidRuntime(  800): FATAL EXCEPTION
=>
2026-03-17T16:13:38.811000Z DEBUG null {"logger": "WindowManager", "pid": 170} | display off
2026-03-17T16:13:38.812000Z INFO null {"logger": "ActivityManager", "pid": 800} | Start proc
2026-03-17T16:13:39.812000Z ERROR null {"logger": "AndroidRuntime", "pid": 800} | FATAL EXCEPTION
""",
    "klog": r"""
I1124 02:21:00.123456       1 file.go:1] msg one
W1124 02:21:01.123456       1 controller.go:123] "Unable to sync" err="x"
E1124 02:21:02.123456    1234 reflector.go:178] k8s.io/client-go: Failed to list
F1124 02:21:02.123456    1234 main.go:17] die
=>
2026-11-24T02:21:00.123456Z INFO null {"caller": "file.go:1", "pid": 1} | msg one
2026-11-24T02:21:01.123456Z WARNING null {"caller": "controller.go:123", "pid": 1} | "Unable to sync" err="x"
2026-11-24T02:21:02.123456Z ERROR null {"caller": "reflector.go:178", "pid": 1234} | k8s.io/client-go: Failed to list
2026-11-24T02:21:02.123456Z CRITICAL null {"caller": "main.go:17", "pid": 1234} | die
""",
    "cri": r"""
2026-11-24T02:21:00.123456789Z stdout F I1124 02:21:00.123456       1 file.go:1] msg
2026-11-24T02:21:00.223456789Z stderr F E1124 02:21:00.223456       1 file.go:9] boom
=>
2026-11-24T02:21:00.123456Z INFO null {"caller": "file.go:1", "column_2": "F", "local_time": "I1124 02:21:00.123456", "pid": 1, "stream": "stdout"} | msg
2026-11-24T02:21:00.223456Z ERROR null {"caller": "file.go:9", "column_2": "F", "local_time": "E1124 02:21:00.223456", "pid": 1, "stream": "stderr"} | boom
""",
    "gc": r"""
2026-11-24T02:21:00.123+0000: 1.234: [GC (Allocation Failure) [PSYoungGen: 65536K->10728K(76288K)] 65536K->20000K, 0.0123 secs]
2026-11-24T02:21:05.123+0000: 6.234: [Full GC (Ergonomics) 65536K->10728K(76288K), 0.0456 secs]
=>
2026-11-24T02:21:00.123000Z INFO null {} | 1.234: [GC (Allocation Failure) [PSYoungGen: 65536K->10728K(76288K)] 65536K->20000K, 0.0123 secs]
2026-11-24T02:21:05.123000Z INFO null {} | 6.234: [Full GC (Ergonomics) 65536K->10728K(76288K), 0.0456 secs]
""",
    "gc unified": r"""
[2026-11-24T02:21:00.123+0000][info][gc] GC(0) Pause Young (Normal) 24M->4M(256M) 3.456ms
[2026-11-24T02:21:00.523+0000][warning][gc,heap] something
[2026-11-24T02:21:00.523+0000][info][gc,heap] GC(1) x
=>
2026-11-24T02:21:00.123000Z INFO null {"context": "gc"} | GC(0) Pause Young (Normal) 24M->4M(256M) 3.456ms
2026-11-24T02:21:00.523000Z WARNING null {"context": "gc,heap"} | something
2026-11-24T02:21:00.523000Z INFO null {"context": "gc,heap"} | GC(1) x
""",
    "gc uptime": r"""
[0.012s][info][gc] Using G1
[0.123s][info][gc] GC(0) Pause Young
[0.223s][warning][gc,heap] hm
=>
- INFO null {"context": "gc", "uptime": "0.012s"} | Using G1
- INFO null {"context": "gc", "uptime": "0.123s"} | GC(0) Pause Young
- WARNING null {"context": "gc,heap", "uptime": "0.223s"} | hm
""",
    "short-full": r"""
Tue 2026-11-24 02:21:00 UTC web1 systemd[1]: Started Session.
Tue 2026-11-24 02:21:01 UTC web1 cron[77]: (root) CMD (x)
Tue 2026-11-24 02:21:02 UTC web1 kernel: usb
=>
2026-11-24T02:21:00.000000Z INFO "systemd" {"host": "web1", "pid": 1} | Started Session.
2026-11-24T02:21:01.000000Z INFO "cron" {"host": "web1", "pid": 77} | (root) CMD (x)
2026-11-24T02:21:02.000000Z INFO "kernel" {"host": "web1"} | usb
""",
    "envoy": r"""
[2026-11-24 02:21:00.123][1][info][main] [source/server/server.cc:330] initializing epoch 0
[2026-11-24 02:21:00.124][1][warning][config] [source/server/options.cc:13] hm
[2026-11-24 02:21:00.124][17][critical][config] [source/server/options.cc:13] boom
=>
2026-11-24T02:21:00.123000Z INFO null {"caller": "source/server/server.cc:330", "pid": 1, "thread": "main"} | initializing epoch 0
2026-11-24T02:21:00.124000Z WARNING null {"caller": "source/server/options.cc:13", "pid": 1, "thread": "config"} | hm
2026-11-24T02:21:00.124000Z CRITICAL null {"caller": "source/server/options.cc:13", "pid": 17, "thread": "config"} | boom
""",
    "rabbit": r"""
2026-11-24 02:21:00.123456+00:00 [info] <0.9.0> Server startup complete
2026-11-24 02:21:00.223456+00:00 [error] <0.77.0> connection closed
=>
2026-11-24T02:21:00.123456Z INFO null {"context": "0.9.0"} | Server startup complete
2026-11-24T02:21:00.223456Z ERROR null {"context": "0.77.0"} | connection closed
""",
    "game": r"""
[02:21:00] [Server thread/INFO]: Done (3.2s)
[02:21:01] [Worker-Main-2/WARN]: Slow
[02:21:02] [Server thread/ERROR]: Broken
=>
- INFO null {"thread": "Server thread", "time": "02:21:00"} | Done (3.2s)
- WARNING null {"thread": "Worker-Main-2", "time": "02:21:01"} | Slow
- ERROR null {"thread": "Server thread", "time": "02:21:02"} | Broken
""",
    "bind": r"""
24-Nov-2026 02:21:00.123 queries: info: client 192.0.2.7#53: query: a
24-Nov-2026 02:21:00.223 general: error: zone x: not loaded
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "queries"} | client 192.0.2.7#53: query: a
2026-11-24T02:21:00.223000Z ERROR null {"logger": "general"} | zone x: not loaded
""",
    "fail2ban": r"""
2026-11-24 02:21:00,123 fail2ban.filter         [1234]: INFO    [sshd] Found 192.0.2.4
2026-11-24 02:21:01,123 fail2ban.actions        [1234]: NOTICE  [sshd] Ban 192.0.2.4
2026-11-24 02:21:02,123 fail2ban.actions        [1234]: WARNING [nginx] 192.0.2.4 already banned
=>
2026-11-24T02:21:00.123000Z INFO null {"context": "sshd", "logger": "fail2ban.filter", "pid": 1234} | Found 192.0.2.4
2026-11-24T02:21:01.123000Z INFO null {"context": "sshd", "logger": "fail2ban.actions", "pid": 1234} | Ban 192.0.2.4
2026-11-24T02:21:02.123000Z WARNING null {"context": "nginx", "logger": "fail2ban.actions", "pid": 1234} | 192.0.2.4 already banned
""",
    "vsftpd": r"""
Tue Nov 24 02:21:00 2026 [pid 1234] CONNECT: Client "192.0.2.7"
Tue Nov 24 02:21:01 2026 [pid 1233] [bob] OK LOGIN: Client "192.0.2.7"
=>
2026-11-24T02:21:00.000000Z INFO null {"pid": 1234} | CONNECT: Client "192.0.2.7"
2026-11-24T02:21:01.000000Z INFO null {"pid": 1233} | [bob] OK LOGIN: Client "192.0.2.7"
""",
    "suricata": r"""
24/11/2026 -- 02:21:00 - <Notice> - all 4 threads
24/11/2026 -- 02:21:01 - <Error> - [ERRCODE: X] bad
=>
2026-11-24T02:21:00.000000Z INFO null {} | all 4 threads
2026-11-24T02:21:01.000000Z ERROR null {} | [ERRCODE: X] bad
""",
    "etcd": r"""
2026-11-24 02:21:00.123456 I | etcdmain: etcd Version: 3.3
2026-11-24 02:21:00.223456 W | etcdserver: slow
=>
2026-11-24T02:21:00.123456Z INFO null {} | etcdmain: etcd Version: 3.3
2026-11-24T02:21:00.223456Z WARNING null {} | etcdserver: slow
""",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_becomes_these_records(name: str) -> None:
    lines, expected = (part.strip("\n").split("\n") for part in SAMPLES[name].split("\n=>\n"))
    made = []
    for record in records(lines, detect(lines, now=NOW)):
        service, attributes = json.dumps(record.get("service")), json.dumps(record["attributes"], sort_keys=True)
        line = f"{record.get('timestamp', '-')} {record['level']} {service} {attributes} | {record['message']}"
        made.append(line.replace("\n", "⏎").rstrip())
    assert made == expected
