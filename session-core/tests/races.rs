//! What meets in an unlucky moment: single interleavings and faults, each in a test of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Effect, Error, ErrorKind, Loaded, MemoryProvider,
    Operation, Renewal, Renewed, RequestContext, Result, Retired, Retirement, SessionId, SessionKey, SessionManager,
    SessionProvider, WriterId,
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
        let copying = scene.desk.hold("commit");
        let rotating = commit(&one);
        copying.executed.await.unwrap();
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

/// A creation or a copy that was sent again may arrive once more after the destruction.
#[tokio::test(start_paused = true)]
async fn a_late_creation_does_not_revive_what_was_destroyed() {
    for rotated in [false, true] {
        let scene = Scene::new().await;
        let session = match rotated {
            true => scene.here().await,
            false => scene.here.open(&RequestContext::default(), None).await.unwrap(),
        };
        session.insert("name", "second").unwrap();
        session.rotate_id().unwrap();
        scene.desk.delay_commit();
        session.commit().await.unwrap_err();
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
        let session = match rotated {
            true => scene.here().await,
            false => scene.here.open(&RequestContext::default(), None).await.unwrap(),
        };
        session.insert("name", "second").unwrap();
        session.rotate_id().unwrap();
        scene.desk.delay_commit();
        session.commit().await.unwrap_err();
        session.destroy().unwrap();
        session.commit().await.unwrap();
        scene.desk.execute_late().await;
        let left = if rotated { 0 } else { 1 };
        assert_eq!(scene.desk.store.len(), left, "rotated: {rotated}");
    }
}
