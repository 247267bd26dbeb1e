//! Requests that go on one at a time, in an order that the seed decides.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::super::random::Random;
use super::world::World;
use super::{Ending, Ground};

pub(super) type Request = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Goes on with one of the requests at a time, from gate to gate, until all are done. After `end` steps the session is
/// ended past the provider. Answers how many requests were dropped before their end.
pub(super) async fn drive(
    ground: &dyn Ground,
    world: &World,
    mut requests: Vec<Request>,
    end: Option<usize>,
    random: &mut Random,
) -> usize {
    let mut cancelled = 0;
    let mut idle = 0;
    for step in 0.. {
        assert!(step < 1_000_000, "the requests wait for each other");
        if requests.is_empty() {
            break;
        }
        if end == Some(step) {
            let ending = random.pick(&[Ending::Expiry, Ending::Eviction]);
            world.end(ground, ending).await;
        }
        if random.percent(3) {
            world.check_expiries(ground).await;
        }
        let chosen = random.below(requests.len());
        let before = world.gates().reached();
        if go_on(&mut requests[chosen], world).await {
            drop(requests.swap_remove(chosen));
            idle = 0;
        } else if random.below(150) == 0 {
            // What it changed is committed in the background.
            drop(requests.swap_remove(chosen));
            cancelled += 1;
        } else if world.gates().reached() == before {
            idle += 1;
        } else {
            idle = 0;
        }
        if idle > 3 * requests.len() {
            // They wait for something in the background, or for a time.
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else if random.percent(20) {
            tokio::task::yield_now().await;
        }
    }
    cancelled
}

/// Polls a request until it stands at a gate, or waits for another request; `true` if it is done.
async fn go_on(request: &mut Request, world: &World) -> bool {
    poll_fn(|context| match request.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if world.gates().are_passed() => {
            // The store is at work; nobody else goes on meanwhile, so that the seed alone decides the order.
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(false),
    })
    .await
}
