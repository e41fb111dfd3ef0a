"""One file for each change of the tables; their numbers sort, so that a newer journal is told from an older one."""
