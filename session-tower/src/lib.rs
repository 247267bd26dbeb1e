#![doc = "session-tower"]
