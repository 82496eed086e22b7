"""Logs of logging libraries: samples, and the records they become."""

# ruff: noqa: E501
import json
from datetime import UTC, datetime

import pytest

from tocsin.logs.formats.text import detect, records

NOW = datetime(2026, 11, 25, tzinfo=UTC)

# Lines, `=>`, then a line for each record: timestamp, level, service, attributes, message (a line end is shown as ⏎).
SAMPLES = {
    "logback": r"""
2026-11-24 02:21:00.123 [main] INFO  c.e.demo.Application - Starting up
2026-11-24 02:21:00.456 [http-nio-8080-exec-1] WARN  c.e.demo.Web - slow request
java.lang.RuntimeException: x
    at c.e.demo.Web.run(Web.java:12)
2026-11-24 02:21:01.456 [http-nio-8080-exec-2] ERROR c.e.demo.Web - failed: boom
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "c.e.demo.Application", "thread": "main"} | Starting up
2026-11-24T02:21:00.456000Z WARNING null {"logger": "c.e.demo.Web", "thread": "http-nio-8080-exec-1"} | slow request⏎java.lang.RuntimeException: x⏎    at c.e.demo.Web.run(Web.java:12)
2026-11-24T02:21:01.456000Z ERROR null {"logger": "c.e.demo.Web", "thread": "http-nio-8080-exec-2"} | failed: boom
""",
    "spring": r"""
2026-11-24 02:21:00.123  INFO 4242 --- [           main] c.e.demo.DemoApplication                 : Starting DemoApplication
2026-11-24 02:21:00.456  WARN 4242 --- [nio-8080-exec-1] o.s.web.servlet.PageNotFound             : No mapping for GET /x
2026-11-24 02:21:00.789 ERROR 4242 --- [nio-8080-exec-1] o.a.c.c.C.[.[.[/].[dispatcherServlet]    : Servlet.service() threw
2026-11-24 02:21:00.799  INFO 4242 --- [nio-8080-exec-1] o.a.c.c.C.[Tomcat].[localhost].[/]       : Init
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "c.e.demo.DemoApplication", "pid": 4242, "thread": "main"} | Starting DemoApplication
2026-11-24T02:21:00.456000Z WARNING null {"logger": "o.s.web.servlet.PageNotFound", "pid": 4242, "thread": "nio-8080-exec-1"} | No mapping for GET /x
2026-11-24T02:21:00.789000Z ERROR null {"logger": "o.a.c.c.C.[.[.[/].[dispatcherServlet]", "pid": 4242, "thread": "nio-8080-exec-1"} | Servlet.service() threw
2026-11-24T02:21:00.799000Z INFO null {"logger": "o.a.c.c.C.[Tomcat].[localhost].[/]", "pid": 4242, "thread": "nio-8080-exec-1"} | Init
""",
    "python": r"""
WARNING:root:this is a warning
INFO:app.core:started
ERROR:app.core:failed
Traceback (most recent call last):
  File "x.py", line 3, in <module>
INFO:app.core:ready
=>
- WARNING null {"logger": "root"} | this is a warning
- INFO null {"logger": "app.core"} | started
- ERROR null {"logger": "app.core"} | failed
- INFO null {} | Traceback (most recent call last):⏎  File "x.py", line 3, in <module>
- INFO null {"logger": "app.core"} | ready
""",
    "asctime": r"""
2026-11-24 02:21:00,123 - root - INFO - hello there
2026-11-24 02:21:00,124 - app.db - WARNING - slow query
2026-11-24 02:21:00,125 - app.db - CRITICAL - gone
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "root"} | hello there
2026-11-24T02:21:00.124000Z WARNING null {"logger": "app.db"} | slow query
2026-11-24T02:21:00.125000Z CRITICAL null {"logger": "app.db"} | gone
""",
    "bracket iso": r"""
[2026-11-24T02:21:00Z] INFO: server started
[2026-11-24T02:21:01Z] WARN: low disk
[2026-11-24T02:21:02Z] ERROR: failed to connect
=>
2026-11-24T02:21:00.000000Z INFO null {} | server started
2026-11-24T02:21:01.000000Z WARNING null {} | low disk
2026-11-24T02:21:02.000000Z ERROR null {} | failed to connect
""",
    "env_logger": r"""
[2026-11-24T02:21:00Z INFO  my_app::server] listening on 0.0.0.0
[2026-11-24T02:21:00Z WARN  my_app] hm
[2026-11-24T02:21:00Z ERROR my_app::db] gone
=>
2026-11-24T02:21:00.000000Z INFO null {"logger": "my_app::server"} | listening on 0.0.0.0
2026-11-24T02:21:00.000000Z WARNING null {"logger": "my_app"} | hm
2026-11-24T02:21:00.000000Z ERROR null {"logger": "my_app::db"} | gone
""",
    "tracing": r"""
2026-11-24T02:21:00.123456Z  INFO my_app::server: listening addr=0.0.0.0
2026-11-24T02:21:00.223456Z  WARN my_app::db: slow
2026-11-24T02:21:00.323456Z ERROR my_app: gone
=>
2026-11-24T02:21:00.123456Z INFO null {"logger": "my_app::server"} | listening addr=0.0.0.0
2026-11-24T02:21:00.223456Z WARNING null {"logger": "my_app::db"} | slow
2026-11-24T02:21:00.323456Z ERROR null {"logger": "my_app"} | gone
""",
    "epoch": r"""
1700000000 INFO started worker 3
1700000001 ERROR worker died
1700000002 INFO started worker 4
=>
2023-11-14T22:13:20.000000Z INFO null {} | started worker 3
2023-11-14T22:13:21.000000Z ERROR null {} | worker died
2023-11-14T22:13:22.000000Z INFO null {} | started worker 4
""",
    "epoch ms": r"""
1700000000123 started worker 3
1700000001123 worker died
1700000002123 begin worker 4
=>
2023-11-14T22:13:20.123000Z INFO null {} | started worker 3
2023-11-14T22:13:21.123000Z INFO null {} | worker died
2023-11-14T22:13:22.123000Z INFO null {} | begin worker 4
""",
    "rails": r"""
I, [2026-11-24T02:21:00.123456 #123]  INFO -- : Started GET "/" for 127.0.0.1
D, [2026-11-24T02:21:00.223456 #123] DEBUG -- : Foo Load (0.1ms)
E, [2026-11-24T02:21:00.323456 #123] ERROR -- myapp: boom
W, [2026-11-24T02:21:00.323456 #123]  WARN -- : hm
=>
2026-11-24T02:21:00.123456Z INFO null {"pid": 123} | Started GET "/" for 127.0.0.1
2026-11-24T02:21:00.223456Z DEBUG null {"pid": 123} | Foo Load (0.1ms)
2026-11-24T02:21:00.323456Z ERROR null {"logger": "myapp", "pid": 123} | boom
2026-11-24T02:21:00.323456Z WARNING null {"pid": 123} | hm
""",
    "logfmt": r"""
time=2026-11-24T02:21:00.123Z level=info msg="hello \"there\"" component=api dur=12ms
time=2026-11-24T02:21:00.124Z level=warn msg="slow" component=db
time=2026-11-24T02:21:00.125Z level=error msg=boom err="x y"
=>
2026-11-24T02:21:00.123000Z INFO null {"component": "api", "dur": "12ms"} | hello "there"
2026-11-24T02:21:00.124000Z WARNING null {"component": "db"} | slow
2026-11-24T02:21:00.125000Z ERROR null {"err": "x y"} | boom
""",
    "prom": r"""
ts=2026-11-24T02:21:00.123Z caller=main.go:123 level=info msg="Server is ready"
ts=2026-11-24T02:21:00.123Z caller=db.go:1 level=error component=tsdb err="x"
=>
2026-11-24T02:21:00.123000Z INFO null {"caller": "main.go:123"} | Server is ready
2026-11-24T02:21:00.123000Z ERROR null {"caller": "db.go:1", "component": "tsdb", "err": "x"} | ts=2026-11-24T02:21:00.123Z caller=db.go:1 level=error component=tsdb err="x"
""",
    "tomcat": r"""
24-Nov-2026 02:21:00.123 INFO [main] org.apache.catalina.startup.VersionLoggerListener.log Server version: Apache Tomcat/8.5
24-Nov-2026 02:21:00.123 WARNING [localhost-startStop-1] org.apache.catalina.util.SessionIdGeneratorBase.createSecureRandom Creation took [5] ms
24-Nov-2026 02:21:00.123 SEVERE [main] org.apache.catalina.core.StandardContext.startInternal One or more listeners failed
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "org.apache.catalina.startup.VersionLoggerListener.log", "thread": "main"} | Server version: Apache Tomcat/8.5
2026-11-24T02:21:00.123000Z WARNING null {"logger": "org.apache.catalina.util.SessionIdGeneratorBase.createSecureRandom", "thread": "localhost-startStop-1"} | Creation took [5] ms
2026-11-24T02:21:00.123000Z ERROR null {"logger": "org.apache.catalina.core.StandardContext.startInternal", "thread": "main"} | One or more listeners failed
""",
    "gunicorn": r"""
[2026-11-24 02:21:00 +0000] [1] [INFO] Starting gunicorn 20.1.0
[2026-11-24 02:21:00 +0000] [1] [INFO] Listening at: http://0.0.0.0:8000 (1)
[2026-11-24 02:21:05 +0000] [8] [CRITICAL] WORKER TIMEOUT (pid:9)
=>
2026-11-24T02:21:00.000000Z INFO null {"pid": 1} | Starting gunicorn 20.1.0
2026-11-24T02:21:00.000000Z INFO null {"pid": 1} | Listening at: http://0.0.0.0:8000 (1)
2026-11-24T02:21:05.000000Z CRITICAL null {"pid": 8} | WORKER TIMEOUT (pid:9)
""",
    "celery": r"""
[2026-11-24 02:21:00,123: INFO/MainProcess] Connected to redis://
[2026-11-24 02:21:01,123: WARNING/ForkPoolWorker-1] hm
[2026-11-24 02:21:01,123: ERROR/ForkPoolWorker-1] Task failed
=>
2026-11-24T02:21:00.123000Z INFO null {"thread": "MainProcess"} | Connected to redis://
2026-11-24T02:21:01.123000Z WARNING null {"thread": "ForkPoolWorker-1"} | hm
2026-11-24T02:21:01.123000Z ERROR null {"thread": "ForkPoolWorker-1"} | Task failed
""",
    "tornado": r"""
[I 261124 02:21:00 web:1971] 200 GET / (127.0.0.1) 1ms
[W 261124 02:21:01 web:1971] 404 GET /x
[E 261124 02:21:02 ioloop:12] Exception
=>
2026-11-24T02:21:00.000000Z INFO null {"caller": "web:1971"} | 200 GET / (127.0.0.1) 1ms
2026-11-24T02:21:01.000000Z WARNING null {"caller": "web:1971"} | 404 GET /x
2026-11-24T02:21:02.000000Z ERROR null {"caller": "ioloop:12"} | Exception
""",
    "jupyter": r"""
[I 2026-11-24 02:21:00.123 ServerApp] Serving notebooks
[W 2026-11-24 02:21:00.223 ServerApp] No web browser found
[C 2026-11-24 02:21:00.323 ServerApp] To access
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "ServerApp"} | Serving notebooks
2026-11-24T02:21:00.223000Z WARNING null {"logger": "ServerApp"} | No web browser found
2026-11-24T02:21:00.323000Z CRITICAL null {"logger": "ServerApp"} | To access
""",
    "loguru": r"""
2026-11-24 02:21:00.123 | INFO     | __main__:main:12 - hello
2026-11-24 02:21:00.124 | WARNING  | app.db:query:44 - slow
2026-11-24 02:21:00.125 | ERROR    | app.db:<module>:4 - boom
=>
2026-11-24T02:21:00.123000Z INFO null {"caller": "__main__:main:12"} | hello
2026-11-24T02:21:00.124000Z WARNING null {"caller": "app.db:query:44"} | slow
2026-11-24T02:21:00.125000Z ERROR null {"caller": "app.db:<module>:4"} | boom
""",
    "dotnet": r"""
info: Microsoft.Hosting.Lifetime[0]
      Now listening on: http://localhost:5000
warn: Microsoft.AspNetCore.Server[5]
      Hm
fail: Foo.Bar[1]
      Boom
=>
- INFO null {} | Microsoft.Hosting.Lifetime[0]⏎      Now listening on: http://localhost:5000
- WARNING null {} | Microsoft.AspNetCore.Server[5]⏎      Hm
- ERROR null {} | Foo.Bar[1]⏎      Boom
""",
    "name and bar in front": r"""
web_1  | 2026-11-24 02:21:00,123 INFO  hello from web
web_1  | 2026-11-24 02:21:00,124 ERROR failed thing
db_1   | 2026-11-24 02:21:00,125 WARN  slow down
=>
2026-11-24T02:21:00.123000Z INFO null {"column_0": "web_1"} | hello from web
2026-11-24T02:21:00.124000Z ERROR null {"column_0": "web_1"} | failed thing
2026-11-24T02:21:00.125000Z WARNING null {"column_0": "db_1"} | slow down
""",
    "go log": r"""
2026/11/24 02:21:00 http: Server closed
2026/11/24 02:21:01 listening on :8080
2026/11/24 02:21:02 main.go:12: something
=>
2026-11-24T02:21:00.000000Z INFO null {} | http: Server closed
2026-11-24T02:21:01.000000Z INFO null {} | listening on :8080
2026-11-24T02:21:02.000000Z INFO null {} | main.go:12: something
""",
    "logrus": r"""
INFO[0000] Starting up                         component=api
WARN[0012] Slow thing
ERRO[0013] Boom
=>
- INFO null {"uptime": "0000"} | Starting up                         component=api
- WARNING null {"uptime": "0012"} | Slow thing
- ERROR null {"uptime": "0013"} | Boom
""",
    "month first, 12 hours": r"""
11/24/2026 2:21:00 PM INFO Service started
11/24/2026 2:22:00 PM ERROR Service broke
=>
2026-11-24T14:21:00.000000Z INFO null {} | Service started
2026-11-24T14:22:00.000000Z ERROR null {} | Service broke
""",
    "day first": r"""
24.11.2026 14:21:00 INFO Dienst gestartet
24.11.2026 14:22:00 FEHLER kaputt
24.11.2026 14:22:00 ERROR kaputt
=>
2026-11-24T14:21:00.000000Z INFO null {} | Dienst gestartet
2026-11-24T14:22:00.000000Z INFO null {} | FEHLER kaputt
2026-11-24T14:22:00.000000Z ERROR null {} | kaputt
""",
    "time of day only": r"""
02:21:00.123 [main] INFO  c.e.Foo - hello
02:21:00.124 [pool-1-thread-2] DEBUG c.e.Bar - there
=>
- INFO null {"logger": "c.e.Foo", "thread": "main", "time": "02:21:00.123"} | hello
- DEBUG null {"logger": "c.e.Bar", "thread": "pool-1-thread-2", "time": "02:21:00.124"} | there
""",
    "dropwizard": r"""
INFO  [2026-11-24 02:21:00,123] org.eclipse.jetty.server.Server: Started @1234ms
WARN  [2026-11-24 02:21:01,123] com.example.Foo: hm
! java.lang.Exception: x
! at foo
ERROR [2026-11-24 02:21:02,123] com.example.Foo: boom
=>
2026-11-24T02:21:00.123000Z INFO null {"logger": "org.eclipse.jetty.server.Server"} | Started @1234ms
2026-11-24T02:21:01.123000Z WARNING null {"logger": "com.example.Foo"} | hm⏎! java.lang.Exception: x⏎! at foo
2026-11-24T02:21:02.123000Z ERROR null {"logger": "com.example.Foo"} | boom
""",
    "uvicorn": r"""
INFO:     Started server process [1]
INFO:     127.0.0.1:50000 - "GET / HTTP/1.1" 200 OK
ERROR:    Exception in ASGI application
Traceback (most recent call last):
WARNING:  hm
=>
- INFO null {} | Started server process [1]
- INFO null {} | 127.0.0.1:50000 - "GET / HTTP/1.1" 200 OK
- ERROR null {} | Exception in ASGI application
- INFO null {} | Traceback (most recent call last):
- WARNING null {} | hm
""",
    "containerd": r"""
time="2026-11-24T02:21:00.123456789Z" level=info msg="starting containerd" revision=abc
time="2026-11-24T02:21:00.223456789Z" level=warning msg="skip loading plugin"
=>
2026-11-24T02:21:00.123456Z INFO null {"revision": "abc"} | starting containerd
2026-11-24T02:21:00.223456Z WARNING null {} | skip loading plugin
""",
    "host and program before the level": r"""
2026-11-24 02:21:00 web-1 app: ERROR: could not do it
2026-11-24 02:21:01 web-1 app: INFO: ok then
=>
2026-11-24T02:21:00.000000Z ERROR null {"column_1": "web-1", "logger": "app"} | could not do it
2026-11-24T02:21:01.000000Z INFO null {"column_1": "web-1", "logger": "app"} | ok then
""",
    "zap": r"""
2026-11-24T02:21:00.123Z    INFO    server/main.go:12    starting    {"port": 80}
2026-11-24T02:21:00.124Z    ERROR    server/db.go:90    no answer    {"host": "db"}
=>
2026-11-24T02:21:00.123000Z INFO null {"caller": "server/main.go:12"} | starting    {"port": 80}
2026-11-24T02:21:00.124000Z ERROR null {"caller": "server/db.go:90"} | no answer    {"host": "db"}
""",
    "nlog": r"""
2026-11-24 02:21:00.1234|INFO|Shop.Orders.Service|Order taken
2026-11-24 02:21:00.2234|WARN|Shop.Stock|Low
2026-11-24 02:21:00.3234|FATAL|Shop.Program|Gone
=>
2026-11-24T02:21:00.123400Z INFO null {"logger": "Shop.Orders.Service"} | Order taken
2026-11-24T02:21:00.223400Z WARNING null {"logger": "Shop.Stock"} | Low
2026-11-24T02:21:00.323400Z CRITICAL null {"logger": "Shop.Program"} | Gone
""",
    "monolog": r"""
[2026-11-24T02:21:00.123456+01:00] app.INFO: User logged in {"id":7} []
[2026-11-24T02:21:01.123456+01:00] security.WARNING: Denied [] []
[2026-11-24T02:21:02.123456+01:00] app.CRITICAL: Uncaught [] []
=>
2026-11-24T01:21:00.123456Z INFO null {"logger": "app"} | User logged in {"id":7} []
2026-11-24T01:21:01.123456Z WARNING null {"logger": "security"} | Denied [] []
2026-11-24T01:21:02.123456Z CRITICAL null {"logger": "app"} | Uncaught [] []
""",
    "airflow": r"""
[2026-11-24 02:21:00,123] {taskinstance.py:1150} INFO - Starting attempt
[2026-11-24 02:21:01,123] {local.py:15} ERROR - Failed
=>
2026-11-24T02:21:00.123000Z INFO null {"caller": "{taskinstance.py:1150}"} | Starting attempt
2026-11-24T02:21:01.123000Z ERROR null {"caller": "{local.py:15}"} | Failed
""",
    "lambda": r"""
2026-11-24T02:21:00.123Z    8f507cfc-0000-4e4b-8e3d-001122334455    INFO    handled
2026-11-24T02:21:00.223Z    8f507cfc-0000-4e4b-8e3d-001122334455    ERROR    not handled
=>
2026-11-24T02:21:00.123000Z INFO null {"request_id": "8f507cfc-0000-4e4b-8e3d-001122334455"} | handled
2026-11-24T02:21:00.223000Z ERROR null {"request_id": "8f507cfc-0000-4e4b-8e3d-001122334455"} | not handled
""",
    "django": r"""
INFO 2026-11-24 02:21:00,123 basehttp 1234 140 "GET / HTTP/1.1" 200 5
ERROR 2026-11-24 02:21:01,123 log 1234 140 Internal Server Error
=>
2026-11-24T02:21:00.123000Z INFO null {} | basehttp 1234 140 "GET / HTTP/1.1" 200 5
2026-11-24T02:21:01.123000Z ERROR null {} | log 1234 140 Internal Server Error
""",
    "csv": r"""
2026-11-24 02:21:00,INFO,orders,taken
2026-11-24 02:21:01,ERROR,orders,refused
=>
2026-11-24T02:21:00.000000Z INFO null {} | orders,taken
2026-11-24T02:21:01.000000Z ERROR null {} | orders,refused
""",
    "serilog": r"""
2026-11-24 02:21:00.123 +01:00 [INF] Started
2026-11-24 02:21:00.223 +01:00 [WRN] Hm
2026-11-24 02:21:00.323 +01:00 [FTL] Gone
=>
2026-11-24T01:21:00.123000Z INFO null {} | Started
2026-11-24T01:21:00.223000Z WARNING null {} | Hm
2026-11-24T01:21:00.323000Z CRITICAL null {} | Gone
""",
    "winston": r"""
2026-11-24T02:21:00.123Z info: listening
2026-11-24T02:21:01.123Z warn: slow
2026-11-24T02:21:01.123Z error: gone
=>
2026-11-24T02:21:00.123000Z INFO null {} | listening
2026-11-24T02:21:01.123000Z WARNING null {} | slow
2026-11-24T02:21:01.123000Z ERROR null {} | gone
""",
    "uniform3": r"""
2026-11-24 02:21:00 Payment: order 12 ERROR
2026-11-24 02:21:01 Payment: order 13 ERROR
2026-11-24 02:21:02 Payment: order 14 ERROR
=>
2026-11-24T02:21:00.000000Z INFO null {"logger": "Payment"} | order 12 ERROR
2026-11-24T02:21:01.000000Z INFO null {"logger": "Payment"} | order 13 ERROR
2026-11-24T02:21:02.000000Z INFO null {"logger": "Payment"} | order 14 ERROR
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
