//! Redis, or what is before it, cannot be reached.

use crate::harness::{Fault, Scene};
use test_support::Direction;

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

#[test]
fn f1_not_there_at_start() {
    Fault::of("F1").since_the_start().raise(Scene::kill).heal(Scene::restart).run();
}

#[test]
fn f2_ends_and_refuses() {
    Fault::of("F2").raise(Scene::kill).heal(Scene::restart).run();
}

#[test]
fn f4_restarted_with_its_data() {
    let restart = |scene: &mut Scene| {
        scene.kill();
        scene.restart();
    };
    Fault::of("F4").raise(restart).run();
}

#[test]
fn f7_hangs() {
    Fault::of("F7").raise(|scene| scene.pause()).heal(|scene| scene.resume()).run();
}

#[test]
fn f8_nothing_passes() {
    Fault::of("F8")
        .on_the_wire()
        .raise(|scene| DIRECTIONS.into_iter().for_each(|direction| scene.wire().hold_after(direction, 0)))
        .heal(|scene| DIRECTIONS.into_iter().for_each(|direction| scene.wire().release(direction)))
        .run();
}

#[test]
fn f10_idle_connections_are_closed() {
    let kill = |scene: &mut Scene| drop(scene.redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]));
    Fault::of("F10").of_a_server().raise(kill).run();
}

/// By the server's own doing.
#[test]
fn f10_idle_connections_time_out() {
    let wait = |scene: &mut Scene| {
        scene.redis.cli(&["CONFIG", "SET", "timeout", "1"]);
        std::thread::sleep(std::time::Duration::from_millis(2500));
        scene.redis.cli(&["CONFIG", "SET", "timeout", "0"]);
    };
    Fault::of("F10").of_a_server().raise(wait).run();
}

#[test]
fn f20_too_many_clients() {
    let fill = |scene: &mut Scene| {
        scene.tell("CONFIG SET maxclients 1\r\n");
        scene.hear("+OK\r\n");
        scene.tell("CLIENT KILL TYPE normal SKIPME yes\r\n");
        scene.hear("\r\n");
    };
    let free = |scene: &mut Scene| {
        scene.tell("CONFIG SET maxclients 1000\r\n");
        scene.hear("+OK\r\n");
        scene.hang_up();
    };
    Fault::of("F20").of_a_server().raise(fill).heal(free).run();
}
