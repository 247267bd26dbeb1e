//! Connections that break in the midst of something.

use std::time::Duration;

use fault_catalogue::{Fault, Scene};
use test_support::Direction;

#[test]
fn f9a_half_closed() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        Fault::of("F9a").on_the_wire().raise(move |scene| scene.wire().half_close_all(direction)).run();
    }
}

#[test]
fn f9b_reset() {
    Fault::of("F9b").on_the_wire().raise(|scene| scene.wire().reset_all()).run();
}

#[test]
fn f9c_garbage() {
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\0\0\0\0", b":1\r\n:2\r\n"] {
        Fault::of("F9c")
            .on_the_wire()
            .raise(move |scene| scene.wire().garble(Direction::ToClient, Some(garbage)))
            .heal(|scene| scene.wire().garble(Direction::ToClient, None))
            .run();
    }
}

#[test]
fn f9d_single_bytes_slowly() {
    Fault::of("F9d")
        .on_the_wire()
        .raise(|scene| scene.wire().drip(Direction::ToClient, Some(Duration::from_millis(50))))
        .heal(|scene| scene.wire().drip(Direction::ToClient, None))
        .run();
}

#[test]
fn f9e_single_bytes() {
    let both = |scene: &mut Scene| {
        for direction in [Direction::ToServer, Direction::ToClient] {
            scene.wire().drip(direction, Some(Duration::from_micros(20)));
        }
    };
    Fault::of("F9e").on_the_wire().raise(both).run();
}
