//! What meets in an unlucky moment: single interleavings and faults, each in a test of its own.

use secret_watch as _;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Checked, ClientId, Commit, Committed, Destroyed, Destruction, Effect, Error, ErrorKind,
    KeyDerivation, Loaded, MemoryProvider, Operation, RESEND_AT_MOST, Renewal, Renewed, RequestContext, Result,
    Retired, Retirement, SessionId, SessionKey, SessionManager, SessionProvider, WriterId,
};
use session_serde::Json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A store whose next steps can be lost or held back.
#[derive(Default)]
struct Desk {
    store: MemoryProvider,
    rules: Mutex<Vec<(&'static str, Rule)>>,
    delays: AtomicUsize,
    late: Mutex<Vec<(SessionKey, Commit)>>,
}

/// What happens to the next step of a name.
enum Rule {
    /// It is not executed.
    Unavailable,
    /// It is refused.
    Fail(ErrorKind),
    /// It is executed, and its answer is lost.
    LoseAnswer,
    /// It is executed, and its answer arrives when the test says so.
    HoldAnswer(oneshot::Sender<()>, oneshot::Receiver<()>),
}

/// A step that is held back.
struct Hold {
    executed: oneshot::Receiver<()>,
    answer: oneshot::Sender<()>,
}

impl Desk {
    fn rule(&self, step: &'static str, rule: Rule) {
        self.rules.lock().unwrap().push((step, rule));
    }

    /// The next commit is executed when the test says so, and nobody is told.
    fn delay_commit(&self) {
        self.delays.fetch_add(1, Ordering::SeqCst);
    }

    async fn execute_late(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        assert!(!late.is_empty());
        for (key, commit) in late {
            let _ = self.store.commit(&key, &commit).await.unwrap();
        }
    }

    fn hold(&self, step: &'static str) -> Hold {
        let (executing, executed) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        self.rule(step, Rule::HoldAnswer(executing, answered));
        Hold { executed, answer }
    }

    async fn step<T>(&self, name: &'static str, run: impl Future<Output = Result<T>>) -> Result<T> {
        let rule = {
            let mut rules = self.rules.lock().unwrap();
            rules.iter().position(|(step, _)| *step == name).map(|index| rules.remove(index).1)
        };
        match rule {
            None => run.await,
            Some(Rule::Unavailable) => Err(Error::new(ErrorKind::Unavailable, Operation::Commit, "not reached")),
            Some(Rule::Fail(kind)) => Err(Error::new(kind, Operation::Commit, "refused")),
            Some(Rule::LoseAnswer) => {
                run.await?;
                Err(Error::new(ErrorKind::OutcomeUnknown, Operation::Commit, "lost"))
            }
            Some(Rule::HoldAnswer(executing, answered)) => {
                let answer = run.await;
                let _ = executing.send(());
                let _ = answered.await;
                answer
            }
        }
    }
}

#[async_trait]
impl SessionProvider for Desk {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.step("load", self.store.load(key, writer)).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.step("check", self.store.check(key)).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        if self.delays.load(Ordering::SeqCst) > 0 {
            self.delays.fetch_sub(1, Ordering::SeqCst);
            self.late.lock().unwrap().push((key.clone(), commit.clone()));
            return Err(Error::new(ErrorKind::OutcomeUnknown, Operation::Commit, "lost"));
        }
        self.step("commit", self.store.commit(key, commit)).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.step("renew", self.store.renew(key, renewal)).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.step("destroy", self.store.destroy(key, destruction)).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.step("retire", self.store.retire(key, retirement)).await
    }
}

type Manager = SessionManager<Json>;
type Session = session_core::Session<Json>;

/// Two processes, and a session that both can open.
struct Scene {
    desk: Arc<Desk>,
    here: Manager,
    there: Manager,
    id: SessionId,
}

impl Scene {
    async fn new() -> Self {
        let desk = Arc::new(Desk::default());
        let process = || SessionManager::builder(desk.clone(), Json).max_session_bytes(1_000).build().unwrap();
        let (here, there) = (process(), process());
        let session = there.open(&RequestContext::default(), None).await.unwrap();
        session.insert("name", "first").unwrap();
        session.commit().await.unwrap();
        let id = session.id().unwrap();
        Self { desk, here, there, id }
    }

    async fn here(&self) -> Session {
        open(&self.here, self.id).await
    }

    async fn there(&self) -> Session {
        open(&self.there, self.id).await
    }
}

async fn open(manager: &Manager, id: SessionId) -> Session {
    manager.open(&RequestContext::default(), Some(&id)).await.unwrap()
}

fn commit(session: &Session) -> JoinHandle<Result<()>> {
    let session = session.clone();
    tokio::spawn(async move { session.commit().await })
}

/// A commit that the store has executed, and answers once it is told to.
async fn executed(scene: &Scene, session: &Session) -> (Hold, JoinHandle<Result<()>>) {
    let mut hold = scene.desk.hold("commit");
    let committing = commit(session);
    (&mut hold.executed).await.unwrap();
    (hold, committing)
}

fn key(session: &Session) -> SessionKey {
    KeyDerivation::default().derive(&RequestContext::default(), &session.id().unwrap()).unwrap()
}

fn name(session: &Session) -> Option<String> {
    session.get("name").unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("an end")
}

/// The version does not tell that the answer is too old where the commit found others' changes before its own.
#[tokio::test(start_paused = true)]
async fn a_load_that_is_overtaken_by_a_commit_does_not_undo_it() {
    let scene = Scene::new().await;
    let here = scene.here().await;
    let there = scene.there().await;
    there.insert("other", &1).unwrap();
    there.commit().await.unwrap();

    let load = scene.desk.hold("load");
    let manager = scene.here.clone();
    let id = scene.id;
    let opening = tokio::spawn(async move { open(&manager, id).await });
    load.executed.await.unwrap();
    here.insert("name", "second").unwrap();
    here.commit().await.unwrap();
    load.answer.send(()).unwrap();
    let opened = opening.await.unwrap();
    assert_eq!(name(&opened).as_deref(), Some("second"));

    // What the copy takes for stored must be: else this would not be sent.
    opened.insert("name", "first").unwrap();
    opened.commit().await.unwrap();
    assert_eq!(name(&scene.there().await).as_deref(), Some("first"));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_of_a_session_that_is_gone_says_so() {
    let scene = Scene::new().await;
    let creator = scene.here.open(&RequestContext::default(), None).await.unwrap();
    creator.insert("name", "another").unwrap();
    creator.commit().await.unwrap();
    let elsewhere = open(&scene.there, creator.id().unwrap()).await;
    elsewhere.destroy().unwrap();
    elsewhere.commit().await.unwrap();
    creator.rotate_id().unwrap();
    let error = soon(creator.commit()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
}

#[tokio::test(start_paused = true)]
async fn whoever_only_touched_what_is_gone_is_told() {
    let idle_timeout = |session: &Session| session.set_idle_timeout(Duration::from_secs(3_600));
    for touch in [Session::touch, idle_timeout] {
        let scene = Scene::new().await;
        let here = scene.here().await;
        let there = scene.there().await;
        there.destroy().unwrap();
        there.commit().await.unwrap();
        touch(&here).unwrap();
        assert_eq!(here.commit().await.unwrap_err().kind(), ErrorKind::Gone);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_only_touched_what_was_to_be_rotated_is_told() {
    let scene = Scene::new().await;
    let (one, two) = (scene.here().await, scene.here().await);
    let there = scene.there().await;
    there.destroy().unwrap();
    there.commit().await.unwrap();
    one.rotate_id().unwrap();
    two.touch().unwrap();
    for session in [one, two] {
        assert_eq!(session.commit().await.unwrap_err().kind(), ErrorKind::Gone);
    }
}

/// It wanted nothing to be written.
#[tokio::test(start_paused = true)]
async fn whoever_set_what_is_set_already_is_not_told() {
    let scene = Scene::new().await;
    let one = scene.here.open(&RequestContext::default(), None).await.unwrap();
    one.set_idle_timeout(Duration::from_secs(3_600)).unwrap();
    one.insert("name", "another").unwrap();
    one.commit().await.unwrap();
    let id = one.id().unwrap();
    let two = open(&scene.here, id).await;
    let there = open(&scene.there, id).await;
    there.destroy().unwrap();
    there.commit().await.unwrap();
    one.rotate_id().unwrap();
    two.set_idle_timeout(Duration::from_secs(3_600)).unwrap();
    assert_eq!(one.commit().await.unwrap_err().kind(), ErrorKind::Gone);
    two.commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_touch_whose_commit_is_cancelled_is_not_forgotten() {
    let scene = Scene::new().await;
    let session = scene.here().await;
    session.touch().unwrap();
    let renew = scene.desk.hold("renew");
    let cancelled = commit(&session);
    renew.executed.await.unwrap();
    cancelled.abort();
    let _ = cancelled.await;
    scene.desk.rule("renew", Rule::Unavailable);
    assert_eq!(session.commit().await.unwrap_err().kind(), ErrorKind::Unavailable, "it is sent again");
    session.commit().await.unwrap();
}

/// Its response must not promise what only another request's commit would have written.
#[tokio::test(start_paused = true)]
async fn the_same_change_as_an_uncommitted_one_is_a_change() {
    let scene = Scene::new().await;
    let (one, two) = (scene.here().await, scene.here().await);
    one.insert("name", "second").unwrap();
    two.insert("name", "second").unwrap();
    two.commit().await.unwrap();
    assert_eq!(name(&scene.there().await).as_deref(), Some("second"));

    one.remove("name").unwrap();
    assert!(!two.remove("name").unwrap());
    two.commit().await.unwrap();
    assert_eq!(name(&scene.there().await), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_by_an_earlier_batch_is_not_said_to_be_lost() {
    let scene = Scene::new().await;
    let (one, two) = (scene.here().await, scene.here().await);
    one.insert("name", "second").unwrap();
    two.insert("other", &1).unwrap();
    two.close().await.result.unwrap();
    drop(two);
    one.insert("third", &1).unwrap();
    scene.desk.rule("commit", Rule::Unavailable);
    let error = one.close().await.result.unwrap_err();
    assert_eq!(error.effect(), Effect::PerhapsApplied);
    assert_eq!(name(&scene.there().await).as_deref(), Some("second"));
}

/// The process that gave it another id took along what the lost answer was about.
#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_rotation_elsewhere_is_not_said_to_be_lost() {
    let scene = Scene::new().await;
    let here = scene.here().await;
    here.insert("name", "second").unwrap();
    scene.desk.rule("commit", Rule::LoseAnswer);
    here.commit().await.unwrap_err();
    let there = scene.there().await;
    there.rotate_id().unwrap();
    there.commit().await.unwrap();
    let error = here.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Gone, Effect::PerhapsApplied));
    assert_eq!(name(&there).as_deref(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_destruction_stays_marked_when_another_request_fails_last() {
    let scene = Scene::new().await;
    let (one, two) = (scene.here().await, scene.here().await);
    two.insert("name", "second").unwrap();
    one.destroy().unwrap();
    scene.desk.rule("destroy", Rule::Unavailable);
    one.close().await.result.unwrap_err();
    drop(one);
    scene.desk.rule("destroy", Rule::Unavailable);
    two.close().await.result.unwrap_err();
    drop(two);
    let next = scene.here().await;
    assert!(next.id().is_none() && next.is_empty().unwrap(), "the next to open it repeats the destruction");
    assert!(scene.there().await.id().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_destruction_during_a_rotation_is_done_under_both_ids() {
    for step in ["retire", "load", "commit"] {
        let scene = Scene::new().await;
        let (one, two) = (scene.here().await, scene.here().await);
        one.rotate_id().unwrap();
        let (copying, rotating) = executed(&scene, &one).await;
        // The rotation has to carry something over.
        let there = scene.there().await;
        there.insert("name", "second").unwrap();
        there.commit().await.unwrap();
        let held = scene.desk.hold(step);
        copying.answer.send(()).unwrap();
        held.executed.await.unwrap();
        two.destroy().unwrap();
        held.answer.send(()).unwrap();
        soon(two.commit()).await.unwrap();
        let _ = soon(rotating).await.unwrap();
        assert!(one.is_empty().unwrap() && one.id().is_none(), "held at {step}");
        assert!(scene.desk.store.is_empty(), "held at {step}");
    }
}

/// Another process was faster, which the rotation finds out first.
#[tokio::test(start_paused = true)]
async fn a_destruction_during_a_rotation_that_came_too_late_says_so() {
    let scene = Scene::new().await;
    let (one, two) = (scene.here().await, scene.here().await);
    one.rotate_id().unwrap();
    let (copying, rotating) = executed(&scene, &one).await;
    let there = scene.there().await;
    there.destroy().unwrap();
    there.commit().await.unwrap();
    let held = scene.desk.hold("destroy");
    copying.answer.send(()).unwrap();
    held.executed.await.unwrap();
    two.destroy().unwrap();
    held.answer.send(()).unwrap();
    let closed = soon(two.close()).await;
    closed.result.unwrap();
    assert_eq!(closed.destroyed, Some(Destroyed::NothingFound));
    let _ = soon(rotating).await.unwrap();
    assert!(scene.desk.store.is_empty());
}

/// The old id has ended, and whether there is another is not known: what this process remembers may be of a session
/// that was destroyed.
#[tokio::test(start_paused = true)]
async fn nobody_sees_a_session_whose_rotation_is_in_doubt() {
    let scene = Scene::new().await;
    let (one, two) = (scene.here().await, scene.here().await);
    one.rotate_id().unwrap();
    scene.desk.rule("retire", Rule::LoseAnswer);
    one.commit().await.unwrap_err();
    let opened = scene.here().await;
    assert!(opened.id().is_none() && opened.is_empty().unwrap(), "the old id has ended");
    assert_eq!(opened.insert("name", "second").unwrap_err().kind(), ErrorKind::Gone);
    two.touch().unwrap();
    two.commit().await.unwrap();
    assert_eq!(name(&two).as_deref(), Some("first"), "who had it has it under its new id");
    assert!(two.id().is_some_and(|id| id != scene.id));
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_session_that_outgrew_its_limit_are_refused() {
    let scene = Scene::new().await;
    let here = scene.here().await;
    here.insert("name", "second").unwrap();
    let large = SessionManager::builder(scene.desk.clone(), Json).max_session_bytes(100_000).build().unwrap();
    let there = open(&large, scene.id).await;
    there.insert("large", &"x".repeat(20_000)).unwrap();
    there.commit().await.unwrap();
    let another = scene.here().await;
    assert_eq!(another.len().unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(here.commit().await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(name(&there).as_deref(), Some("first"));
}

/// Nobody would be told the new id, and the old one would be dead.
#[tokio::test(start_paused = true)]
async fn a_change_of_id_that_was_given_up_is_not_made_later() {
    let scene = Scene::new().await;
    let rotating = scene.here().await;
    rotating.rotate_id().unwrap();
    let there = scene.there().await;
    // In steps, each of which its own process can still load.
    for part in ["a", "b"] {
        let large = SessionManager::builder(scene.desk.clone(), Json).max_session_bytes(20_000).build().unwrap();
        let session = open(&large, scene.id).await;
        session.insert(part, &"x".repeat(6_000)).unwrap();
        session.commit().await.unwrap();
    }
    let reader = scene.here().await;
    assert_eq!(reader.names().unwrap_err().kind(), ErrorKind::TooLarge);
    let closed = rotating.close().await;
    let error = closed.result.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::NotApplied));
    assert_eq!(closed.client, ClientId::Keep);
    drop(there);
    let large = SessionManager::builder(scene.desk.clone(), Json).max_session_bytes(20_000).build().unwrap();
    let shrinking = open(&large, scene.id).await;
    shrinking.remove("a").unwrap();
    shrinking.remove("b").unwrap();
    shrinking.commit().await.unwrap();
    let next = scene.here().await;
    next.insert("name", "second").unwrap();
    next.commit().await.unwrap();
    assert_eq!(name(&scene.there().await).as_deref(), Some("second"), "under the id that everybody has");
    drop(reader);
}

/// What another request's write was refused for takes the change of id along.
#[tokio::test(start_paused = true)]
async fn a_change_of_id_that_was_given_up_with_others_changes_is_not_made() {
    let scene = Scene::new().await;
    let (writing, rotating) = (scene.here().await, scene.here().await);
    writing.insert("name", "second").unwrap();
    scene.desk.rule("commit", Rule::LoseAnswer);
    commit(&writing).await.unwrap().unwrap_err();
    rotating.rotate_id().unwrap();
    scene.desk.rule("commit", Rule::Fail(ErrorKind::Auth));
    let closed = rotating.close().await;
    assert_eq!(closed.result.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(closed.client, ClientId::Keep);
    assert_eq!(name(&scene.here().await).as_deref(), Some("second"));
    assert_eq!(name(&scene.there().await).as_deref(), Some("second"));
}

/// A session whose creation, or copy under a new id, has not arrived yet, and nobody knows that.
async fn creation_under_way(scene: &Scene, rotated: bool) -> Session {
    let session = match rotated {
        true => scene.here().await,
        false => scene.here.open(&RequestContext::default(), None).await.unwrap(),
    };
    session.insert("name", "second").unwrap();
    session.rotate_id().unwrap();
    scene.desk.delay_commit();
    session.commit().await.unwrap_err();
    session
}

/// A creation or a copy that was sent again may arrive once more after the destruction.
#[tokio::test(start_paused = true)]
async fn a_late_creation_does_not_revive_what_was_destroyed() {
    for rotated in [false, true] {
        let scene = Scene::new().await;
        let session = creation_under_way(&scene, rotated).await;
        session.commit().await.unwrap();
        let id = session.id().unwrap();
        assert_eq!(name(&open(&scene.there, id).await).as_deref(), Some("second"));
        session.destroy().unwrap();
        session.commit().await.unwrap();
        scene.desk.execute_late().await;
        assert!(open(&scene.there, id).await.id().is_none(), "rotated: {rotated}");
    }
}

/// It is destroyed before anybody knows whether it was created.
#[tokio::test(start_paused = true)]
async fn a_creation_under_way_does_not_outlive_its_destruction() {
    for rotated in [false, true] {
        let scene = Scene::new().await;
        let session = creation_under_way(&scene, rotated).await;
        session.destroy().unwrap();
        session.commit().await.unwrap();
        scene.desk.execute_late().await;
        let left = if rotated { 0 } else { 1 };
        assert_eq!(scene.desk.store.len(), left, "rotated: {rotated}");
    }
}

/// What another process wrote under the old id and was acknowledged is under the new one too, whatever becomes of the
/// step that carries it.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_carried_at_first_is_carried_later() {
    for lost in [Rule::Unavailable, Rule::LoseAnswer] {
        let scene = Scene::new().await;
        let session = scene.here().await;
        session.rotate_id().unwrap();
        let (copying, rotating) = executed(&scene, &session).await;
        let there = scene.there().await;
        there.insert("name", "second").unwrap();
        there.set_idle_timeout(Duration::from_secs(77)).unwrap();
        there.commit().await.unwrap();
        scene.desk.rule("commit", lost);
        copying.answer.send(()).unwrap();
        rotating.await.unwrap().unwrap_err();
        session.commit().await.unwrap();
        assert_ne!(session.id(), Some(scene.id));
        let moved = open(&scene.there, session.id().unwrap()).await;
        for session in [&session, &moved] {
            assert_eq!(name(session).as_deref(), Some("second"));
        }
        assert!(scene.desk.store.time_to_live(&key(&moved)).unwrap() <= Duration::from_secs(85));
    }
}

/// While others change the session again and again, a rotation gives up for the time being, and loses nothing of theirs.
#[tokio::test(start_paused = true)]
async fn a_rotation_that_never_catches_up_is_given_back() {
    let scene = Scene::new().await;
    let session = scene.here().await;
    let there = scene.there().await;
    session.rotate_id().unwrap();
    let mut changed = 0;
    let mut step = scene.desk.hold("commit");
    let rotating = commit(&session);
    let error = loop {
        // The copy is written, or what was carried: before the old key is retired, it is changed once more.
        soon(step.executed).await.unwrap();
        changed += 1;
        there.insert("name", &format!("change {changed}")).unwrap();
        there.commit().await.unwrap();
        let next = scene.desk.hold("commit");
        step.answer.send(()).unwrap();
        step = next;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if rotating.is_finished() {
            break rotating.await.unwrap().unwrap_err();
        }
    };
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::PerhapsApplied));
    assert_eq!(changed, 17, "the copy, and what was carried 16 times");
    assert_eq!(session.id(), Some(scene.id), "the old id still works");
    assert_eq!(name(&scene.there().await).as_deref(), Some("change 17"));

    drop(step);
    scene.desk.rules.lock().unwrap().clear();
    session.commit().await.unwrap();
    let new = session.id().unwrap();
    assert_ne!(new, scene.id);
    assert_eq!(name(&open(&scene.there, new).await).as_deref(), Some("change 17"));
    assert!(scene.there().await.id().is_none(), "the old id is dead");
}

/// What a request did to an attribute that others then made something else of is not silently dropped when its id changes.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_carried_is_told_to_who_did_it() {
    type Change = fn(&Session) -> Result<()>;
    let increment: Change = |session| session.increment("n", 1).map(drop);
    let update: Change = |session| session.update("n", |it: &mut u64| *it += 1);
    for (change, kind) in [(increment, ErrorKind::NotACounter), (update, ErrorKind::Corrupt)] {
        for by_another_request in [false, true] {
            let scene = Scene::new().await;
            let (session, parallel) = (scene.here().await, scene.here().await);
            change(if by_another_request { &parallel } else { &session }).unwrap();
            session.insert("user", "ann").unwrap();
            session.rotate_id().unwrap();
            let copying = scene.desk.hold("commit");
            let closing = {
                let session = session.clone();
                tokio::spawn(async move { session.close().await })
            };
            copying.executed.await.unwrap();
            let there = scene.there().await;
            there.insert("n", "text").unwrap();
            there.commit().await.unwrap();
            // A load in between must not settle it.
            let reader = scene.here().await;
            copying.answer.send(()).unwrap();
            let closed = closing.await.unwrap();
            let result = if by_another_request {
                closed.result.unwrap();
                parallel.close().await.result
            } else {
                closed.result
            };
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.attribute()), (kind, Some("n")), "{error}");
            // Whoever changed the id gets it all the same: the old one is dead.
            let ClientId::Issue(new) = closed.client else { panic!("{:?}", closed.client) };
            for session in [&session, &reader, &open(&scene.there, new).await] {
                assert_eq!(session.get::<String>("n").unwrap().as_deref(), Some("text"));
                assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ann"));
            }
        }
    }
}

/// A creation that was given up may be under way for ever, so another one takes another key.
#[tokio::test(start_paused = true)]
async fn a_creation_given_up_does_not_stand_in_the_way_of_the_next() {
    for refused in [false, true] {
        let scene = Scene::new().await;
        let session = scene.here.open(&RequestContext::default(), None).await.unwrap();
        session.insert("name", "second").unwrap();
        scene.desk.delay_commit();
        assert_eq!(session.commit().await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        let expected = if refused {
            scene.desk.rule("commit", Rule::Fail(ErrorKind::Auth));
            ErrorKind::Auth
        } else {
            tokio::time::advance(RESEND_AT_MOST + Duration::from_secs(1)).await;
            ErrorKind::OutcomeUnknown
        };
        let error = session.commit().await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (expected, Effect::PerhapsApplied));
        scene.desk.execute_late().await;
        session.insert("name", "third").unwrap();
        session.commit().await.unwrap();
        let id = session.id().unwrap();
        assert_eq!(name(&open(&scene.there, id).await).as_deref(), Some("third"));
        assert_eq!(scene.here.live_sessions(), 1);
    }
}

/// A destruction reaches what was given up, too: what is under way then, and what has arrived.
#[tokio::test(start_paused = true)]
async fn a_destruction_reaches_what_was_given_up() {
    for rotated in [false, true] {
        for refused in [false, true] {
            for arrives_late in [false, true] {
                let scene = Scene::new().await;
                let session = creation_under_way(&scene, rotated).await;
                if refused {
                    scene.desk.rule("commit", Rule::Fail(ErrorKind::Auth));
                } else {
                    tokio::time::advance(RESEND_AT_MOST + Duration::from_secs(1)).await;
                }
                session.commit().await.unwrap_err();
                if !arrives_late {
                    scene.desk.execute_late().await;
                }
                session.destroy().unwrap();
                let closed = session.close().await;
                closed.result.unwrap();
                assert_eq!(closed.destroyed, rotated.then_some(Destroyed::Done));
                if arrives_late {
                    scene.desk.execute_late().await;
                }
                let left = usize::from(!rotated);
                assert_eq!(scene.desk.store.len(), left, "rotated: {rotated}, {refused}, {arrives_late}");
            }
        }
    }
}

/// What the first attempt has destroyed, the second does not find.
#[tokio::test(start_paused = true)]
async fn a_repeated_destruction_tells_what_the_first_attempt_found() {
    let scene = Scene::new().await;
    let session = scene.here().await;
    session.rotate_id().unwrap();
    scene.desk.rule("retire", Rule::Unavailable);
    session.commit().await.unwrap_err();
    session.destroy().unwrap();
    let first = scene.desk.hold("destroy");
    scene.desk.rule("destroy", Rule::LoseAnswer);
    let attempt = commit(&session);
    first.executed.await.unwrap();
    first.answer.send(()).unwrap();
    attempt.await.unwrap().unwrap_err();
    assert_eq!(scene.desk.store.len(), 0);
    assert_eq!(session.close().await.destroyed, Some(Destroyed::Done));
}

/// It lives on under the id that another process gave it meanwhile, so it must not seem destroyed because of the copy
/// that was on its way here.
#[tokio::test(start_paused = true)]
async fn a_destruction_that_came_too_late_says_so() {
    let scene = Scene::new().await;
    let session = scene.here().await;
    session.rotate_id().unwrap();
    scene.desk.rule("retire", Rule::Unavailable);
    session.commit().await.unwrap_err();
    let there = scene.there().await;
    there.rotate_id().unwrap();
    there.commit().await.unwrap();
    session.destroy().unwrap();
    assert_eq!(session.close().await.destroyed, Some(Destroyed::NothingFound));
    assert_eq!(scene.desk.store.len(), 1, "the one under the other process's id");
    assert_eq!(name(&there).as_deref(), Some("first"));
}

/// The first copy of an update arrives between the refusal of its repetition and the update's next attempt, and finds
/// the attribute as it had seen it.
#[tokio::test(start_paused = true)]
async fn an_update_is_not_made_twice_when_its_first_copy_arrives_late() {
    let scene = Scene::new().await;
    let session = scene.here().await;
    session.update("name", |name: &mut String| name.push('!')).unwrap();
    session.increment("visits", 1).unwrap();
    scene.desk.delay_commit();
    session.commit().await.unwrap_err();
    let set = async |value: &str| {
        let there = scene.there().await;
        there.insert("name", value).unwrap();
        there.commit().await.unwrap();
    };
    set("away").await;
    let (refused, again) = executed(&scene, &session).await;
    set("first").await;
    scene.desk.execute_late().await;
    refused.answer.send(()).unwrap();
    again.await.unwrap().unwrap();
    for session in [&session, &scene.there().await] {
        assert_eq!(name(session).as_deref(), Some("first!"));
        assert_eq!(session.get::<i64>("visits").unwrap(), Some(1));
    }
}

/// The same with an increment whose repetition found no counter.
#[tokio::test(start_paused = true)]
async fn an_increment_that_was_refused_is_not_made_later() {
    let scene = Scene::new().await;
    let session = scene.here().await;
    session.increment("n", 1).unwrap();
    session.increment("visits", 1).unwrap();
    session.commit().await.unwrap();
    session.increment("n", 1).unwrap();
    session.increment("visits", 1).unwrap();
    scene.desk.delay_commit();
    session.commit().await.unwrap_err();
    let there = scene.there().await;
    there.insert("n", "text").unwrap();
    there.commit().await.unwrap();
    let (refused, again) = executed(&scene, &session).await;
    there.insert("n", &1).unwrap();
    there.commit().await.unwrap();
    scene.desk.execute_late().await;
    refused.answer.send(()).unwrap();
    assert_eq!(again.await.unwrap().unwrap_err().kind(), ErrorKind::NotACounter);
    let there = scene.there().await;
    assert_eq!(there.get::<i64>("n").unwrap(), Some(1));
    assert_eq!(there.get::<i64>("visits").unwrap(), Some(2), "counted once");
}

/// The answer to a conflict tells what was stored then; what was loaded in between is newer. A copy made of it would lose
/// what another process has written.
#[tokio::test(start_paused = true)]
async fn a_conflict_that_is_overtaken_by_a_load_undoes_nothing() {
    for rotated in [false, true] {
        let scene = Scene::new().await;
        let session = scene.here().await;
        session.update("name", |name: &mut String| name.push('!')).unwrap();
        let there = scene.there().await;
        let set = async |value: &str| {
            there.insert("name", value).unwrap();
            there.commit().await.unwrap();
        };
        set("second").await;
        let (refused, committing) = executed(&scene, &session).await;
        set("third").await;
        let reader = scene.here().await;
        assert_eq!(name(&reader).as_deref(), Some("third!"));
        if rotated {
            session.rotate_id().unwrap();
        }
        let next = scene.desk.hold(if rotated { "load" } else { "commit" });
        refused.answer.send(()).unwrap();
        soon(next.executed).await.unwrap();
        assert_eq!(name(&reader).as_deref(), Some("third!"), "nothing goes back in time");
        next.answer.send(()).unwrap();
        soon(committing).await.unwrap().unwrap();
        session.commit().await.unwrap();
        let id = session.id().unwrap();
        assert_eq!(id != scene.id, rotated);
        assert_eq!(name(&open(&scene.there, id).await).as_deref(), Some("third!"));
    }
}
