"""The HTTP edge: routes with their schemas, problem documents, the guard at the door."""
