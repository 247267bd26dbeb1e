#![doc = "session-redis"]
