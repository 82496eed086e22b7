"""Reading what senders write: JSON loggers, syslog, plain text logs."""
