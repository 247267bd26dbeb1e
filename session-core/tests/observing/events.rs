//! What observers are told of sessions, and that telling them harms nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use session_core::{
    EVENTS_TOLD_WITHIN, EVENTS_WAITING_AT_MOST, ErrorKind, KeyDerivation, RequestContext, SessionKey, SessionManager,
};
use session_serde::Json;

use crate::common::{Call, Path, Side, builder, create, open, process, until};
use crate::told::Told;

#[tokio::test]
async fn everything_in_its_order_after_the_acknowledgement() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).build().unwrap();
    let take = async || {
        here.shutdown().await;
        told.take_subjects();
        told.take()
    };
    let (session, id) = create(&here).await;
    assert_eq!(take().await, ["created", "written theme/7 visits/1"]);

    let (there, _) = process(&path.memory);
    let other = open(&there, &id).await;
    session.update("theme", |theme: &mut String| theme.push('!')).unwrap();
    other.insert("theme", "dark").unwrap();
    other.commit().await.unwrap();
    session.remove("visits").unwrap();
    assert_eq!(take().await, [""; 0], "nothing before the acknowledgement");
    session.commit().await.unwrap();
    assert_eq!(take().await, ["conflict theme", "written theme/7", "removed visits"]);

    // What is changed together with the id is told when the old one is dead.
    session.rotate_id().unwrap();
    session.insert("user", "ann").unwrap();
    session.remove("theme").unwrap();
    let stop = path.stop(Call::Retire, Side::Before);
    let rotating = tokio::spawn({
        let session = session.clone();
        async move { session.commit().await }
    });
    stop.reached().await;
    assert_eq!(take().await, [""; 0]);
    stop.go_on();
    rotating.await.unwrap().unwrap();
    let rotated = format!("rotated from {}", id.fingerprint());
    assert_eq!(take().await, [rotated.as_str(), "written user/5", "removed theme"]);
    session.rotate_id().unwrap();
    session.commit().await.unwrap();
    assert_eq!(take().await.len(), 1, "nothing else was changed");

    session.destroy().unwrap();
    session.close().await.result.unwrap();
    assert_eq!(take().await, ["destroyed"]);
    let shown = format!("{session:?} {here:?} {other:?} {id:?}");
    assert!(!shown.contains(&id.expose()) && !shown.contains("dark"), "{shown}");
}

/// A conflict whose answer was lost, and the attribute is as it was when the batch is sent again.
#[tokio::test]
async fn a_number_that_was_used_up_is_no_conflict() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).build().unwrap();
    let (session, id) = create(&here).await;
    let (there, _) = process(&path.memory);
    let other = open(&there, &id).await;
    session.update("theme", |theme: &mut String| theme.push('!')).unwrap();
    path.fail(Call::Commit, Side::Before, ErrorKind::OutcomeUnknown);
    session.commit().await.unwrap_err();
    other.insert("theme", "dark").unwrap();
    other.commit().await.unwrap();
    path.fail(Call::Commit, Side::After, ErrorKind::OutcomeUnknown);
    session.commit().await.unwrap_err();
    path.heal();
    other.insert("theme", "light").unwrap();
    other.commit().await.unwrap();
    here.shutdown().await;
    told.take();
    session.commit().await.unwrap();
    assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("light!"));
    here.shutdown().await;
    assert_eq!(told.take(), ["written theme/8"]);
}

#[tokio::test]
async fn sizes_when_loaded_and_committed() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).build().unwrap();
    let (session, id) = create(&here).await;
    drop(session);
    let session = open(&here, &id).await;
    session.insert("theme", "darker").unwrap();
    session.rotate_id().unwrap();
    session.close().await.result.unwrap();
    here.shutdown().await;
    let mut texts = told.take_all();
    texts.retain(|text| text.starts_with("size"));
    assert_eq!(texts, ["size Commit 19", "size Load 19", "size Commit 20"]);
}

/// Every kind of error, where it arose, and that no secret is in it.
#[tokio::test]
async fn errors_with_their_source() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).max_session_bytes(100).build().unwrap();
    let (session, id) = create(&here).await;
    let expect = async |what: &[&str]| {
        here.shutdown().await;
        let errors: Vec<String> = told.take().into_iter().filter(|text| text.starts_with("error")).collect();
        let starts: Vec<_> = errors.iter().map(|text| text.split(':').next().unwrap()).collect();
        assert_eq!(starts, what);
        for subject in told.take_subjects() {
            assert_eq!(subject.connection.as_deref(), Some("default"));
            let shown = format!("{subject:?} {errors:?}");
            assert!(!shown.contains(&id.expose()) && !shown.contains("secret value"), "{shown}");
        }
    };
    expect(&[]).await;
    session.insert("theme", "secret value").unwrap();
    path.fail(Call::Commit, Side::Before, ErrorKind::Unavailable);
    session.commit().await.unwrap_err();
    expect(&["error Provider Unavailable"]).await;
    path.fail(Call::Load, Side::Before, ErrorKind::Auth);
    let other = session_core::SessionId::generate().unwrap();
    here.open(&RequestContext::default(), Some(&other)).await.unwrap_err();
    expect(&["error Provider Auth"]).await;
    path.heal();
    session.get::<u8>("theme").unwrap_err();
    session.take::<u8>("theme").unwrap_err();
    session.update("theme", |_: &mut u8| ()).unwrap_err();
    session.insert("map", &std::collections::HashMap::from([([1], 1)])).unwrap_err();
    expect(&["error Serializer Corrupt"; 3].into_iter().chain(["error Serializer Encode"]).collect::<Vec<_>>()).await;
    session.insert("theme", &"x".repeat(200)).unwrap_err();
    session.insert("@theme", "x").unwrap_err();
    session.increment("theme", 1).unwrap_err();
    session.update("theme", |_: &mut String| panic!("in the closure")).unwrap_err();
    session.set_idle_timeout(Duration::ZERO).unwrap_err();
    expect(&[
        "error Accessor TooLarge",
        "error Accessor InvalidName",
        "error Accessor NotACounter",
        "error Accessor Closure",
        "error Accessor Config",
    ])
    .await;
    let other = open(&here, &id).await;
    session.close().await.result.unwrap();
    other.destroy().unwrap();
    session.touch().unwrap_err();
    session.clear().unwrap_err();
    session.remove("theme").unwrap_err();
    session.rotate_id().unwrap_err();
    let gone = "error Provider Gone";
    expect(&[gone, gone, gone, "error Accessor TooLate"]).await;
    other.close().await.result.unwrap();
}

struct Tenant(&'static str);

#[tokio::test]
async fn subjects_tell_session_key_connection_and_context() {
    let (path, second) = (Path::new(), Path::new());
    let told = Told::new();
    let here = SessionManager::builder(path.clone(), Json)
        .connection("second", second.clone())
        .connection_callback(|context, _| match context.get::<Tenant>() {
            Some(Tenant(name)) if *name == "wrong" => {
                Err(session_core::Error::new(ErrorKind::KeyCallback, session_core::Operation::Route, "no such tenant"))
            }
            Some(Tenant(name)) => Ok((*name).into()),
            None => Ok("default".into()),
        })
        .key_derivation(KeyDerivation::plain("plain:"))
        .observer(told.clone())
        .build()
        .unwrap();
    let context = RequestContext::new(Tenant("second"));
    let session = here.open(&context, None).await.unwrap();
    session.insert("@", "").unwrap_err();
    session.insert("theme", "light").unwrap();
    session.commit().await.unwrap();
    let old = session.id().unwrap();
    session.rotate_id().unwrap();
    session.commit().await.unwrap();
    let new = session.id().unwrap();
    session.destroy().unwrap();
    session.close().await.result.unwrap();
    here.shutdown().await;
    let rotated = format!("rotated from {}", old.fingerprint());
    let texts: Vec<_> = told.take_all().into_iter().filter(|text| !text.starts_with("traffic")).collect();
    let subjects = told.take_subjects();
    let expected = [
        ("error Accessor InvalidName: ", None),
        ("created", Some(old)),
        ("written theme/7", Some(old)),
        ("size Commit 12", Some(old)),
        // When it was created is carried along, and only the store knows it.
        ("size Load 12", Some(old)),
        (&rotated, Some(new)),
        ("size Commit 12", Some(new)),
        ("destroyed", Some(new)),
    ];
    assert_eq!(texts.len(), expected.len(), "{texts:?}");
    for ((text, subject), (start, id)) in texts.iter().zip(&subjects).zip(expected) {
        assert!(text.starts_with(start.trim_end_matches(": ")), "{text} is not {start}");
        assert_eq!(subject.session, id.map(|id| id.fingerprint()), "{text}");
        let key = id.map(|id| SessionKey::new(format!("plain:{}", id.expose())).unwrap());
        assert_eq!(subject.key, key, "{text}");
        assert_eq!(subject.connection.as_deref(), Some("second"), "{text}");
        assert_eq!(subject.context.get::<Tenant>().map(|tenant| tenant.0), Some("second"), "{text}");
        assert!(!format!("{subject:?}").contains(&new.expose()), "the key is not shown");
    }

    // Errors before there is a connection, a key, or a session.
    for name in ["wrong", "missing"] {
        let context = RequestContext::new(Tenant(name));
        here.open(&context, Some(&old)).await.unwrap_err();
        here.shutdown().await;
        assert!(told.take()[0].starts_with("error Accessor KeyCallback"));
        let subject = told.take_subjects().remove(0);
        assert_eq!((subject.session, subject.key, subject.connection), (Some(old.fingerprint()), None, None));
        assert_eq!(subject.context.get::<Tenant>().map(|tenant| tenant.0), Some(name));
    }
    second.fail(Call::Load, Side::Before, ErrorKind::Unavailable);
    here.open(&context, Some(&old)).await.unwrap_err();
    here.shutdown().await;
    let subject = told.take_subjects().remove(0);
    assert_eq!(subject.session, Some(old.fingerprint()));
    assert!(subject.key.is_some());
    assert_eq!(subject.connection.as_deref(), Some("second"));
}

#[tokio::test]
async fn several_observers_and_one_that_panics() {
    let path = Path::new();
    let (first, last) = (Told::new(), Told::new());
    let panicking = Told::then(|text| panic!("in the observer: {text}"));
    let here =
        builder(&path).observer(first.clone()).observer(panicking.clone()).observer(last.clone()).build().unwrap();
    let (session, _) = create(&here).await;
    session.destroy().unwrap();
    session.close().await.result.unwrap();
    here.shutdown().await;
    for told in [first, panicking, last] {
        assert_eq!(told.take(), ["created", "written theme/7 visits/1", "destroyed"]);
    }
}

/// Holds up whoever passes it until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    reached: AtomicBool,
}

impl Gate {
    fn pass(&self) {
        self.reached.store(true, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.opened.wait(open).unwrap();
        }
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// An observer that blocks at the first thing it is told.
fn blocking() -> (Arc<Gate>, Arc<Told>) {
    let gate = Arc::new(Gate::default());
    let told = Told::then({
        let gate = gate.clone();
        move |_| gate.pass()
    });
    (gate, told)
}

#[tokio::test]
async fn an_observer_that_blocks_holds_up_no_request_and_is_told_what_it_missed() {
    let path = Path::new();
    let (gate, told) = blocking();
    let here = builder(&path).observer(told.clone()).figures_interval(Duration::ZERO).build().unwrap();
    let (session, _) = create(&here).await;
    until("the observer blocks", || gate.reached.load(Ordering::SeqCst)).await;
    // The creation: three events, one of which it is busy with. Each of these: two.
    for number in 0..EVENTS_WAITING_AT_MOST {
        session.insert("theme", &number).unwrap();
        session.commit().await.unwrap();
    }
    let missed = 2 + EVENTS_WAITING_AT_MOST;
    gate.open();
    here.shutdown().await;
    let texts = told.take_all();
    let counted: Vec<_> = texts.iter().filter(|text| text.starts_with("missed")).collect();
    assert_eq!(counted, [&format!("missed {missed}")], "told once");
    assert_eq!(texts.len(), 1 + EVENTS_WAITING_AT_MOST + 1);
    // As soon as it gets on, not at the end.
    assert!(texts[..3].contains(&format!("missed {missed}")), "{:?}", &texts[..3]);
}

#[tokio::test]
async fn an_observer_that_blocks_for_ever_delays_the_shutdown_by_a_bounded_time() {
    let path = Path::new();
    let (gate, told) = blocking();
    let here = builder(&path).observer(told).build().unwrap();
    create(&here).await;
    let start = Instant::now();
    here.shutdown().await;
    let took = start.elapsed();
    assert!(took >= EVENTS_TOLD_WITHIN && took < 2 * EVENTS_TOLD_WITHIN, "{took:?}");
    gate.open();
}

/// The clock that tests stop is not the observers': a shutdown waits for them all the same.
#[tokio::test(start_paused = true)]
async fn a_slow_observer_is_waited_for_under_virtual_time() {
    let path = Path::new();
    let told = Told::then(|_| std::thread::sleep(Duration::from_millis(100)));
    let here = builder(&path).observer(told.clone()).build().unwrap();
    create(&here).await;
    here.shutdown().await;
    assert_eq!(told.take(), ["created", "written theme/7 visits/1"]);
}

/// Says when it is gone.
struct Present(Arc<AtomicBool>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_thread_ends_with_the_manager_after_it_told_everything() {
    let path = Path::new();
    let gone = Arc::new(AtomicBool::new(false));
    let texts = Arc::new(Mutex::new(Vec::new()));
    let told = Told::then({
        let (present, texts) = (Present(gone.clone()), texts.clone());
        move |text| {
            let _ = &present;
            std::thread::sleep(Duration::from_millis(20));
            texts.lock().unwrap().push(text.to_owned());
        }
    });
    let here = builder(&path).observer(told).build().unwrap();
    create(&here).await;
    drop(here);
    until("the observer is dropped", || gone.load(Ordering::SeqCst)).await;
    assert_eq!(texts.lock().unwrap().len(), 3);

    // And one that was never told anything.
    let gone = Arc::new(AtomicBool::new(false));
    let present = Present(gone.clone());
    drop(builder(&path).observer(Told::then(move |_| assert!(!present.0.load(Ordering::SeqCst)))).build().unwrap());
    assert!(gone.load(Ordering::SeqCst), "no thread was started for it");
}
