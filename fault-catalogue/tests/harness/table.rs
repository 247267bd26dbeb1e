//! The table of `docs/faults.md`, which tells users what they will see, as what the tests expect.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use session_core::ErrorKind;
use session_tower::status_of;

use super::app::{App, Reply};
use super::scene::Way;

/// The document, read.
#[derive(Debug)]
pub struct Table {
    /// What is seen of each fault, in their order.
    pub rows: Vec<Row>,
    /// Where that is tested, by the fault's name.
    pub tests: BTreeMap<String, Vec<TestName>>,
    /// Faults that have no row, and why.
    pub without: BTreeMap<String, String>,
}

/// What is seen of one fault.
#[derive(Debug, Clone)]
pub struct Row {
    /// `F`, its number, and a letter where several faults have one number.
    pub name: String,
    /// Which requests it concerns.
    pub strikes: Strikes,
    /// What they meet.
    pub outcome: Outcome,
    /// The statuses of their responses; none where that is not up to the session.
    pub statuses: Vec<u16>,
    /// Whether a request with time for it tries again; `None` where there is nothing to try.
    pub tried_again: Option<bool>,
    /// What becomes of them with `throw_on_error(false)`.
    pub quietly: Quietly,
    /// What they meet if it happens behind a TwemProxy; `None` where it cannot.
    pub twemproxy: Option<Outcome>,
}

/// Which requests a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strikes {
    /// All that use their session.
    All,
    /// Those that write.
    Writes,
    /// Those that write, but for logouts.
    WritesButLogouts,
    /// Those of a session that something is wrong with.
    ThatSession,
    /// Those that the fault's name tells.
    Some,
}

/// What a request meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// One of these errors.
    pub kinds: Vec<ErrorKind>,
    /// Or nothing at all.
    pub may_be_unseen: bool,
}

/// What becomes of a request with `throw_on_error(false)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quietly {
    /// It goes on with a session that could not be read.
    Degraded,
    /// It goes on, and what it changed is not stored.
    NotSaved,
    /// It gets the error of the call that it made.
    Told,
    /// It sees nothing in any case.
    AsUsual,
}

/// A test function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestName {
    /// Its file, from the top of the tree.
    pub file: String,
    /// Its name.
    pub function: String,
}

impl Table {
    /// Reads the document.
    pub fn read() -> Self {
        let text = fs::read_to_string(root().join("docs/faults.md")).expect("docs/faults.md is there");
        let rows = cells(&text, "What a request sees").map(|cells| Row::parse(&cells)).collect();
        let tests = cells(&text, "Where it is tested").map(|cells| {
            let names = cells[1].split(", ").map(TestName::parse).collect();
            (cells[0].to_owned(), names)
        });
        let without = cells(&text, "What has no test").map(|cells| (cells[0].to_owned(), cells[1].to_owned()));
        Self { rows, tests: tests.collect(), without: without.collect() }
    }

    /// What is seen of this fault.
    pub fn row(&self, name: &str) -> Row {
        let row = self.rows.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("docs/faults.md has no row {name}")).clone()
    }
}

impl Row {
    /// What the document tells of this fault.
    pub fn of(name: &str) -> Self {
        Table::read().row(name)
    }

    /// What requests meet that come this way.
    pub fn outcome(&self, way: Way) -> &Outcome {
        match way {
            Way::Direct | Way::ToTwemproxy => &self.outcome,
            Way::BehindTwemproxy => {
                self.twemproxy.as_ref().unwrap_or_else(|| panic!("{} is not for a TwemProxy", self.name))
            }
        }
    }

    /// Fails unless this is one of the errors that the document tells for this way.
    #[track_caller]
    pub fn assert_kind(&self, way: Way, kind: ErrorKind) {
        let outcome = self.outcome(way);
        assert!(outcome.kinds.contains(&kind), "{} {way:?}: {kind:?} instead of {outcome:?}", self.name);
    }

    /// Fails unless this is what the document tells of a request that came this way: its response and the last error of
    /// its session. `answer` is that of its handler, should it go on.
    #[track_caller]
    pub fn assert_seen(&self, way: Way, throw: bool, app: &App, reply: &Reply, answer: &str) {
        reply.assert_in_time(Duration::ZERO);
        reply.assert_no_cookie();
        let session = app.last_session();
        let told = throw || self.quietly == Quietly::Told;
        let error = if told { Some(app.last_error()) } else { session.as_ref().and_then(|it| it.last_error()) };
        let error = error.unwrap_or_else(|| panic!("no error: {reply:?}"));
        self.assert_kind(way, error.kind());
        if told {
            let status = status_of(error.kind()).as_u16();
            assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{error:?}");
            assert!(way == Way::BehindTwemproxy || self.statuses.contains(&status), "{}: {status}", self.name);
        } else {
            reply.assert(200, answer);
            let degraded = session.is_some_and(|session| session.is_degraded());
            assert_eq!(degraded, self.quietly == Quietly::Degraded, "{error:?}");
        }
    }

    fn parse(cells: &[&str]) -> Self {
        let [name, _, strikes, kinds, statuses, tried_again, quietly, twemproxy] = cells else {
            panic!("a row of {} cells: {cells:?}", cells.len())
        };
        let wrong = |what: &str| -> ! { panic!("{name}: {what:?}") };
        let outcome = Outcome::parse(kinds);
        Self {
            name: (*name).to_owned(),
            strikes: match *strikes {
                "all" => Strikes::All,
                "that write" => Strikes::Writes,
                "that write, but for logouts" => Strikes::WritesButLogouts,
                "of that session" => Strikes::ThatSession,
                "these" => Strikes::Some,
                other => wrong(other),
            },
            statuses: match *statuses {
                "–" => Vec::new(),
                some => some.split(" or ").map(|status| status.parse().unwrap_or_else(|_| wrong(status))).collect(),
            },
            tried_again: match *tried_again {
                "yes" => Some(true),
                "no" => Some(false),
                "–" => None,
                other => wrong(other),
            },
            quietly: match *quietly {
                "degraded" => Quietly::Degraded,
                "not saved" => Quietly::NotSaved,
                "the call's error" => Quietly::Told,
                "as usual" => Quietly::AsUsual,
                other => wrong(other),
            },
            twemproxy: match *twemproxy {
                "the same" => Some(outcome.clone()),
                "–" => None,
                other => Some(Outcome::parse(other)),
            },
            outcome,
        }
    }
}

impl Outcome {
    fn parse(text: &str) -> Self {
        let (mut kinds, mut may_be_unseen) = (Vec::new(), false);
        for word in text.split(" or ") {
            match word {
                "nothing" => may_be_unseen = true,
                kind => kinds.push(kind_of(kind)),
            }
        }
        Self { kinds, may_be_unseen }
    }

    /// The statuses that answer it.
    pub fn statuses(&self) -> Vec<u16> {
        let unseen = self.may_be_unseen.then_some(200);
        let mut statuses: Vec<_> =
            unseen.into_iter().chain(self.kinds.iter().map(|it| status_of(*it).as_u16())).collect();
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

fn kind_of(text: &str) -> ErrorKind {
    use ErrorKind::*;
    let all = [
        Unavailable,
        OutcomeUnknown,
        Rejected,
        Auth,
        Gone,
        Conflict,
        NotACounter,
        ReadOnly,
        TooLate,
        Corrupt,
        Encode,
        ForeignKey,
        TooLarge,
        InvalidId,
        InvalidName,
        KeyCallback,
        Unsupported,
        Config,
        Closure,
    ];
    let named = all.into_iter().find(|kind| format!("`{kind:?}`") == text);
    named.unwrap_or_else(|| panic!("{text:?} is no kind of error"))
}

impl TestName {
    /// Of `path::function` in backquotes.
    fn parse(text: &str) -> Self {
        let name = text.trim_matches('`').rsplit_once("::");
        let (file, function) = name.unwrap_or_else(|| panic!("{text:?} is not a file and a function"));
        Self { file: file.to_owned(), function: function.to_owned() }
    }

    /// Whether there is such a test.
    pub fn exists(&self) -> bool {
        let Ok(text) = fs::read_to_string(root().join(&self.file)) else { return false };
        tests_in(&text).any(|name| name == self.function)
    }
}

/// The names of the tests in a source file.
pub(crate) fn tests_in(source: &str) -> impl Iterator<Item = &str> {
    let is_test = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let mut marked = false;
    source.lines().map(str::trim).filter_map(move |line| {
        if is_test(line) {
            marked = true;
            return None;
        }
        if !marked || line.starts_with("#[") || line.starts_with("//") {
            return None;
        }
        marked = false;
        line.split_once("fn ")?.1.split_once('(').map(|(name, _)| name)
    })
}

impl Table {
    /// All tests in the files of this folder, from the top of the tree.
    pub fn tests_below(folder: &str) -> Vec<TestName> {
        let files = fs::read_dir(root().join(folder)).expect("the folder is there");
        let mut names = Vec::new();
        for path in files.map(|file| file.expect("it can be read").path()) {
            let text = fs::read_to_string(&path).expect("a source file");
            let file = format!("{folder}/{}", path.file_name().and_then(|name| name.to_str()).unwrap_or_default());
            names.extend(tests_in(&text).map(|name| TestName { file: file.clone(), function: name.to_owned() }));
        }
        names
    }
}

/// The cells of the table below this heading, without its head.
fn cells<'a>(text: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let lines = below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
