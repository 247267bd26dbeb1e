//! Many at once: nothing is lost, nothing is done twice, nothing is seen half done.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::scene::{Build, LIFE, Scene, again, attributes, bytes, done, expected};
use super::{Outcome, Subject};
use crate::error::ErrorKind;
use crate::provider::{Checked, Commit, Committed, Destroyed, Loaded, Renewed};

/// How long a task may try before the case is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sixty-four writers count on one counter: every increment counts once, and every sum is answered to one of them.
pub(super) async fn concurrent_increments_are_counted_once(subject: &dyn Subject) -> Outcome {
    const WRITERS: u64 = 64;
    const EACH: u64 = 8;
    let scene = Scene::created(subject, &[]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let mut writer = scene.another_writer();
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..EACH {
                let batch = writer.batch().increment("n", 1);
                let answer = done(writer.commit(&batch).await);
                answers.push((number(&answer.counters[0]), answer.found));
            }
            answers
        });
    }
    let answers: Vec<(u64, u64)> = tasks.join_all().await.into_iter().flatten().collect();
    let all: BTreeSet<u64> = (1..=WRITERS * EACH).collect();
    assert_eq!(answers.len(), all.len());
    assert_eq!(answers.iter().map(|(counter, _)| *counter).collect::<BTreeSet<_>>(), all);
    assert_eq!(answers.iter().map(|(_, found)| *found).collect::<BTreeSet<_>>(), all);
    assert_eq!(scene.attributes().await, expected([("n", (WRITERS * EACH).to_string().as_str())]));
    assert_eq!(scene.version().await, 1 + WRITERS * EACH);
    Ok(())
}

fn number(text: &Bytes) -> u64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// Four writers replace what they saw until it is done: no update is lost.
pub(super) async fn concurrent_replaces_lose_nothing(subject: &dyn Subject) -> Outcome {
    const WRITERS: u64 = 4;
    const EACH: u64 = 40;
    let scene = Scene::created(subject, &[("untouched", "1")]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let mut writer = scene.another_writer();
        tasks.spawn(async move {
            let until = Instant::now() + PATIENCE;
            let mut seen: Option<Bytes> = None;
            for _ in 0..EACH {
                let batch = writer.batch();
                loop {
                    assert!(Instant::now() < until, "conflicts without end");
                    let text = seen.as_ref().map(|text| std::str::from_utf8(text).expect("a number"));
                    let next = (seen.as_ref().map_or(0, number) + 1).to_string();
                    match writer.commit(&batch.clone().replace("n", text, Some(&next))).await {
                        Committed::Done { .. } => {
                            seen = Some(Bytes::from(next));
                            break;
                        }
                        Committed::Conflict(which) => {
                            let [(0, present)] = &which[..] else { panic!("a conflict in {} places", which.len()) };
                            assert_ne!(*present, seen, "a conflict with the bytes that were seen");
                            seen = present.clone();
                        }
                        other => panic!("expected Done or Conflict, found {other:?}"),
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    let all = (WRITERS * EACH).to_string();
    assert_eq!(scene.attributes().await, expected([("untouched", "1"), ("n", all.as_str())]));
    assert_eq!(scene.version().await, 1 + WRITERS * EACH);
    Ok(())
}

/// Of several sessions that want one key at once, one gets it, whole; the others hear that it is another's.
pub(super) async fn concurrent_creations_have_one_winner(subject: &dyn Subject) -> Outcome {
    for _ in 0..20 {
        let scene = Scene::unused(subject);
        let mut tasks = JoinSet::new();
        for rival in 0..8 {
            let mut rival_scene = scene.another_life();
            tasks.spawn(async move {
                let name = rival.to_string();
                let creation = rival_scene.creation().set("a", name.clone()).set("b", name.clone()).increment(&name, 1);
                match rival_scene.store.commit(&rival_scene.key, &creation).await {
                    Ok(Committed::Done { found: 0, .. }) => Some((rival_scene, name)),
                    Err(error) if error.kind() == ErrorKind::ForeignKey => None,
                    other => panic!("expected Done or an error of kind ForeignKey, found {other:?}"),
                }
            });
        }
        let winners: Vec<(Scene, String)> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "winners of one key");
        let (winner, name) = &winners[0];
        assert_eq!(winner.session().await.header.generation, winner.generation);
        assert_eq!(winner.attributes().await, expected([("a", name.as_str()), ("b", name), (name, "1")]));
    }
    Ok(())
}

/// Copies of one batch that arrive at once are applied once, creations too.
pub(super) async fn concurrent_copies_of_a_batch_are_applied_once(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    for round in 1..=20 {
        let batch = if round == 1 { scene.creation() } else { scene.batch() };
        let batch = batch.increment("n", 1);
        let mut tasks = JoinSet::new();
        for copy in 0..8 {
            let (scene, batch) = (scene.clone(), if copy == 0 { batch.clone() } else { again(&batch) });
            tasks.spawn(async move {
                match scene.commit(&batch).await {
                    Committed::Done { .. } => 1,
                    Committed::Already { .. } => 0,
                    other => panic!("expected Done or Already, found {other:?}"),
                }
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), 1, "copies that were applied");
        assert_eq!(scene.attributes().await, expected([("n", round.to_string().as_str())]));
        assert_eq!(scene.version().await, round);
    }
    Ok(())
}

/// A load sees all of a commit or nothing of it, and never goes back.
pub(super) async fn concurrent_loads_see_whole_commits(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", "1"), ("c", "1"), ("odd", "1")]).await;
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let reader = scene.another_writer();
        readers.spawn(async move {
            let mut newest = 0;
            for _ in 0..400 {
                let session = reader.session().await;
                let version = session.header.version;
                let text = version.to_string();
                let mut whole = expected([("a", text.as_str()), ("b", &text), ("c", &text)]);
                if version % 2 == 1 {
                    whole.insert("odd".to_owned(), bytes(&text));
                }
                assert_eq!(attributes(&session), whole, "version {version}");
                assert!(version >= newest, "version {version} after {newest}");
                let Checked::Present { version: checked, .. } = reader.check().await else {
                    panic!("the session is missing to a check");
                };
                assert!(checked >= version, "version {checked} after {version}");
                newest = checked;
                // Lets the writer in where all tasks share one thread.
                tokio::task::yield_now().await;
            }
        });
    }
    // The writer goes on for as long as anybody reads.
    for version in 2_u64.. {
        while let Some(ended) = readers.try_join_next() {
            ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        }
        if readers.is_empty() {
            break;
        }
        let text = version.to_string();
        let batch = scene.batch().set("a", text.clone()).set("b", text.clone());
        let batch = match version % 2 {
            1 => batch.replace("odd", None, Some(&text)),
            _ => batch.remove("odd"),
        };
        let batch = batch.increment("c", 1);
        assert_eq!(done(scene.commit(&batch).await).found, version - 1);
        tokio::task::yield_now().await;
    }
    assert!(scene.version().await > 20, "hardly a commit while the readers were at it");
    Ok(())
}

/// Whoever writes while a session is destroyed hears that it is gone, and nothing of it comes back.
pub(super) async fn concurrent_writes_do_not_survive_a_destroy(subject: &dyn Subject) -> Outcome {
    for _ in 0..5 {
        let scene = Scene::created(subject, &[("n", "0")]).await;
        let mut tasks = JoinSet::new();
        for number in 0..8 {
            let mut writer = scene.another_writer();
            tasks.spawn(async move {
                let until = Instant::now() + PATIENCE;
                loop {
                    assert!(Instant::now() < until, "never gone");
                    let batch = match number % 3 {
                        0 => writer.batch().increment("n", 1),
                        1 => writer.batch().set("a", "1"),
                        _ => Commit { idle_timeout: Some(Some(LIFE)), ..writer.batch() },
                    };
                    match writer.commit(&batch).await {
                        Committed::Done { .. } => {}
                        Committed::Gone => break,
                        other => panic!("expected Done or Gone, found {other:?}"),
                    }
                    if number % 2 == 0 && writer.renew(LIFE).await == Renewed::Gone {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let batch = writer.batch().increment("n", 1);
                assert_eq!(writer.commit(&batch).await, Committed::Gone, "after it was gone");
                assert_eq!(writer.load().await, Loaded::Absent);
            });
        }
        let until = Instant::now() + PATIENCE;
        while scene.version().await < 20 {
            assert!(Instant::now() < until, "the writers do not come on");
            tokio::task::yield_now().await;
        }
        assert_eq!(scene.destroy().await, Destroyed::Done);
        tasks.join_all().await;
        scene.assert_absent().await;
    }
    Ok(())
}

/// Every answer belongs to its own session, however many are asked for at once.
pub(super) async fn concurrent_sessions_do_not_cross(subject: &dyn Subject) -> Outcome {
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let mut scene = Scene::unused(subject);
        tasks.spawn(async move {
            let own = scene.generation.to_string();
            let creation = scene.creation().set("own", own.clone());
            done(scene.commit(&creation).await);
            for round in 1..=10_u64 {
                let batch = scene.batch().replace("own", Some(&own), Some(&own)).increment("n", 1);
                let answer = done(scene.commit(&batch).await);
                assert_eq!((answer.found, number(&answer.counters[0])), (round, round));
                let session = scene.session().await;
                assert_eq!(session.header.generation, scene.generation);
                assert_eq!(attributes(&session), expected([("own", own.as_str()), ("n", &round.to_string())]));
            }
        });
    }
    tasks.join_all().await;
    Ok(())
}

/// A caller may drop a step at any point. It was done wholly or not at all, sending it again settles which, and no
/// later step receives its answer.
pub(super) async fn cancelled_steps_can_be_sent_again(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let mut other = Scene::created(subject, &[("other", "1")]).await;
    for round in 1..=60_u64 {
        let batch = scene.batch().increment("n", 1).increment("m", 1);
        let polls = round % 6;
        drop_after(polls, scene.store.load(&scene.key, scene.writer)).await;
        drop_after(polls, scene.store.commit(&scene.key, &batch)).await;
        drop_after(polls, scene.store.check(&scene.key)).await;

        // The neighbour's answers are its own.
        let change = other.batch().set("round", round.to_string());
        assert_eq!(done(other.commit(&change).await).found, round);
        assert_eq!(other.session().await.header.generation, other.generation);

        match scene.commit(&again(&batch)).await {
            Committed::Done { found, .. } => assert_eq!(found, round),
            Committed::Already { counters, .. } => {
                let count = Some(bytes(&round.to_string()));
                assert_eq!(counters, [count.clone(), count]);
            }
            unexpected => panic!("expected Done or Already, found {unexpected:?}"),
        }
        let count = round.to_string();
        assert_eq!(scene.attributes().await, expected([("n", count.as_str()), ("m", &count)]));
    }
    Ok(())
}

/// Polls a future so often, letting others run in between, and drops it.
async fn drop_after<T>(polls: u64, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            break;
        }
        tokio::task::yield_now().await;
    }
}
