"""Who may do what. Until users and keys exist: the local administrator, or one administrator's key."""
