//! The server is there and refuses, or is too slow.

use std::time::Duration;

use crate::harness::{Fault, Scene, eventually};

/// What `redis-cli` is told to do.
fn cli(arguments: &'static [&'static str]) -> impl Fn(&mut Scene) + Send + Sync {
    |scene| drop(scene.redis.cli(arguments))
}

/// The default user's connections are not asked again; new ones are.
fn reconnect(scene: &Scene, arguments: &[&str]) {
    scene.redis.cli(&[arguments, &["CLIENT", "KILL", "TYPE", "normal"]].concat());
}

#[test]
fn f6_slow_writes() {
    Fault::of("F6")
        .of_a_server()
        .raise(cli(&["CLIENT", "PAUSE", "60000", "WRITE"]))
        .heal(cli(&["CLIENT", "UNPAUSE"]))
        .run();
}

#[test]
fn f11_loading() {
    let slowly = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    Fault::of("F11")
        .of_a_server()
        .server_arguments(slowly)
        .patience(Duration::from_secs(8))
        .raise(|scene| {
            scene.redis.cli(&["EVAL", "for i = 1, 3000 do redis.call('SET', 'key' .. i, i, 'EX', 600) end", "0"]);
            scene.redis.cli(&["BGREWRITEAOF"]);
            let redis = &scene.redis;
            let rewritten = || redis.cli(&["INFO", "persistence"]).contains("aof_rewrite_in_progress:0");
            eventually("the file is rewritten", rewritten);
            scene.restart_loading();
        })
        .heal(|scene| eventually("it is loaded", || scene.redis.cli(&["INFO", "persistence"]).contains("loading:0")))
        .run();
}

#[test]
fn f12_read_only() {
    let replica = cli(&["REPLICAOF", "127.0.0.1", "1"]);
    Fault::of("F12").of_a_server().raise(replica).heal(cli(&["REPLICAOF", "NO", "ONE"])).run();
}

#[test]
fn f13a_master_down() {
    Fault::of("F13a")
        .of_a_server()
        .server_arguments(["--replica-serve-stale-data", "no"])
        .raise(cli(&["REPLICAOF", "127.0.0.1", "1"]))
        .heal(cli(&["REPLICAOF", "NO", "ONE"]))
        .run();
}

#[test]
fn f13b_too_few_replicas() {
    let need_one = cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    Fault::of("F13b").of_a_server().raise(need_one).heal(cli(&["CONFIG", "SET", "min-replicas-to-write", "0"])).run();
}

#[test]
fn f14_out_of_memory() {
    let full = cli(&["CONFIG", "SET", "maxmemory", "1"]);
    Fault::of("F14").of_a_server().raise(full).heal(cli(&["CONFIG", "SET", "maxmemory", "0"])).run();
}

#[test]
fn f15_no_disk() {
    Fault::of("F15")
        .of_a_server()
        .server_arguments(["--enable-protected-configs", "yes"])
        .raise(|scene| {
            scene.redis.cli(&["CONFIG", "SET", "appendonly", "no"]);
            scene.redis.cli(&["CONFIG", "SET", "save", "1 1"]);
            let folder = scene.redis.folder().join("gone");
            std::fs::create_dir(&folder).unwrap();
            scene.redis.cli(&["CONFIG", "SET", "dir", folder.to_str().unwrap()]);
            std::fs::remove_dir(&folder).unwrap();
            scene.redis.cli(&["BGSAVE"]);
            let failed = || scene.redis.cli(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err");
            eventually("saving fails", failed);
        })
        .heal(cli(&["CONFIG", "SET", "save", ""]))
        .run();
}

#[test]
fn f16a_credentials_are_asked_for() {
    Fault::of("F16a")
        .of_a_server()
        .raise(|scene| {
            scene.redis.cli(&["CONFIG", "SET", "requirepass", "open-sesame"]);
            reconnect(scene, &["--no-auth-warning", "-a", "open-sesame"]);
        })
        .heal(cli(&["--no-auth-warning", "-a", "open-sesame", "CONFIG", "SET", "requirepass", ""]))
        .run();
}

#[test]
fn f16b_wrong_credentials() {
    let password = |password: &'static str| {
        move |scene: &mut Scene| {
            scene.redis.cli(&["ACL", "SETUSER", "shop", "on", "~*", "+@all", "resetpass", password]);
            scene.redis.cli(&["CLIENT", "KILL", "USER", "shop"]);
        }
    };
    Fault::of("F16b")
        .of_a_server()
        .user("shop", "open-sesame")
        .prepare(password(">open-sesame"))
        .raise(password(">closed-sesame"))
        .heal(password(">open-sesame"))
        .run();
}

#[test]
fn f16c_a_permission_lacks() {
    let forbid = cli(&["ACL", "SETUSER", "default", "-evalsha", "-eval"]);
    Fault::of("F16c").of_a_server().raise(forbid).heal(cli(&["ACL", "SETUSER", "default", "+@all"])).run();
}

#[test]
fn f16d_not_even_reading_is_allowed() {
    let forbid = cli(&["ACL", "SETUSER", "default", "-hgetall", "-hmget"]);
    Fault::of("F16d").of_a_server().raise(forbid).heal(cli(&["ACL", "SETUSER", "default", "+@all"])).run();
}

/// Something else lies where the sessions were.
fn instead(put: &'static [&'static str]) -> impl Fn(&mut Scene) + Send + Sync {
    move |scene| {
        for key in scene.keys() {
            scene.redis.cli(&["RENAME", &key, &format!("aside:{key}")]);
            scene.redis.cli(&[&[put[0], key.as_str()], &put[1..]].concat());
        }
    }
}

/// It was left as it was, and the sessions are put back.
fn put_back(reading: &'static [&'static str], lies_there: &'static str) -> impl Fn(&mut Scene) + Send + Sync {
    move |scene| {
        for aside in scene.keys().iter().filter(|key| key.starts_with("aside:")) {
            let key = aside.trim_start_matches("aside:");
            assert_eq!(scene.redis.cli(&[&[reading[0], key], &reading[1..]].concat()), lies_there);
            assert_eq!(scene.redis.cli(&["PTTL", key]), "-1", "what is foreign was given an expiry");
            scene.redis.cli(&["RENAME", aside, key]);
        }
    }
}

#[test]
fn f17a_another_type() {
    Fault::of("F17a").of_a_server().raise(instead(&["SET", "x"])).heal(put_back(&["GET"], "x")).run();
}

#[test]
fn f17b_another_hash() {
    Fault::of("F17b")
        .of_a_server()
        .raise(instead(&["HSET", "theme", "x"]))
        .heal(put_back(&["HGETALL"], "theme\nx"))
        .run();
}

#[test]
fn f18_scripts_are_forgotten() {
    Fault::of("F18").of_a_server().raise(cli(&["SCRIPT", "FLUSH"])).run();
}

#[test]
fn f19_busy_with_a_script() {
    Fault::of("F19")
        .of_a_server()
        .raise(|scene| {
            scene.redis.cli(&["CONFIG", "SET", "busy-reply-threshold", "50"]);
            scene.tell("EVAL \"while true do end\" 0\r\n");
            let redis = &scene.redis;
            eventually("it is busy", || redis.cli(&["GET", "x"]).contains("BUSY"));
        })
        .heal(|scene| {
            scene.redis.cli(&["SCRIPT", "KILL"]);
            scene.hang_up();
        })
        .run();
}

/// A connection for a single server to a node of a cluster.
#[test]
fn f21a_part_of_a_cluster() {
    let slots = |what: &'static str| {
        move |scene: &mut Scene| {
            scene.redis.cli(&["CLUSTER", what, "0", "16383"]);
            let state = if what == "ADDSLOTSRANGE" { "cluster_state:ok" } else { "cluster_state:fail" };
            eventually("the cluster has noticed", || scene.redis.cli(&["CLUSTER", "INFO"]).contains(state));
        }
    };
    Fault::of("F21a")
        .of_a_server()
        .cluster_node()
        .prepare(slots("ADDSLOTSRANGE"))
        .raise(slots("DELSLOTSRANGE"))
        .heal(slots("ADDSLOTSRANGE"))
        .run();
}
