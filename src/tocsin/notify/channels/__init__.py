"""Ways to reach people, one small file each; `table` names them. A new one is a file and a line there."""
