#![doc = "session-serde"]
