//! A visit to the shop, request by request, with what it leaves in Redis.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::cookie::Jar;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::demo::KEY_PREFIX;
use crate::servers::Servers;
use crate::step::Result;

/// Commands of a connection itself, which have nothing to do with sessions.
const HOUSEKEEPING: [&str; 6] = ["auth", "client", "hello", "ping", "select", "command"];

/// Visits the shops, which share their sessions, and tells whether everything was as expected.
pub(crate) async fn visit(shops: &[String], servers: Option<&Servers>) -> Result<bool> {
    let client = Client::builder().cookie_provider(Arc::new(Jar::default())).redirect(Policy::none()).build()?;
    let mut visit = Visit { client, shops, servers, at: 0, cookie: None, checks: 0, wrong: Vec::new() };
    visit.look_around().await?;
    visit.go_shopping().await?;
    visit.look_into_redis();
    if shops.len() > 1 {
        visit.use_another_copy().await?;
        visit.use_both_at_once().await?;
    }
    let key = visit.log_in().await?;
    visit.log_out(key).await?;
    visit.spread().await?;
    Ok(visit.sum_up())
}

struct Visit<'a> {
    /// Keeps cookies as a browser does, and follows no redirects, so that each answer is seen.
    client: Client,
    shops: &'a [String],
    servers: Option<&'a Servers>,
    /// Which of the shops is visited.
    at: usize,
    /// The cookie that the browser has.
    cookie: Option<(String, String)>,
    checks: usize,
    wrong: Vec<String>,
}

/// What the shop answered.
struct Answer {
    status: StatusCode,
    /// Name and value of the cookie it set.
    cookie: Option<(String, String)>,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Visit<'_> {
    async fn look_around(&mut self) -> Result<()> {
        self.title("A page that does not use the session");
        self.start_counting();
        let answer = self.get("/about").await?;
        self.expect("the page is there", answer.status == StatusCode::OK);
        self.expect("no cookie is set", answer.cookie.is_none());
        self.expect_commands("no command is sent to Redis", &[]);

        self.title("A visitor without a session who only looks");
        let answer = self.get("/").await?;
        self.expect("the page is there", answer.status == StatusCode::OK);
        self.expect("no cookie is set", answer.cookie.is_none());
        self.expect_commands("no command is sent to Redis", &[]);
        Ok(())
    }

    async fn go_shopping(&mut self) -> Result<()> {
        self.title("The first change creates the session");
        let answer = self.get("/visits").await?;
        self.expect("the visit is counted", answer.text == "1");
        self.expect("a cookie is set", answer.cookie.is_some_and(|(_, value)| !value.is_empty()));
        let answer = self.get("/visits").await?;
        self.expect("the next visit is counted", answer.text == "2");
        self.expect("the cookie is not set again", answer.cookie.is_none());

        self.title("Shopping");
        for (sku, quantity) in [("apple", "2"), ("pear", "1"), ("apple", "1")] {
            let answer = self.post("/cart", &[("sku", sku), ("qty", quantity)]).await?;
            self.expect("the visitor is sent back to the shop", answer.status == StatusCode::SEE_OTHER);
        }
        let answer = self.get("/cart").await?;
        self.expect("the cart has it all", answer.json() == json!({ "apple": 3, "pear": 1 }));
        let answer = self.post("/cart", &[("sku", "plum"), ("qty", "many")]).await?;
        self.expect("a quantity that is no number is refused", answer.status == StatusCode::UNPROCESSABLE_ENTITY);
        self.post("/theme", &[("theme", "dark")]).await?;
        let answer = self.get("/session").await?;
        self.expect_session(
            &answer,
            json!({ "cart": { "apple": 3, "pear": 1 }, "theme": "dark", "user": null, "visits": 2 }),
        );
        Ok(())
    }

    fn look_into_redis(&mut self) {
        let Some(servers) = self.servers else { return };
        self.title("What is in Redis now");
        let keys = self.keys();
        self.expect("one session, one key", keys.len() == 1);
        for key in &keys {
            let fields = servers.shell(&["HGETALL", key]);
            let left: i64 = servers.shell(&["PTTL", key]).parse().unwrap_or(-1);
            self.expect("it expires", left > 0);
            let id = self.cookie.as_ref().map(|(_, value)| value.as_str());
            let is_there = id.is_none_or(|id| key.contains(id) || fields.contains(id));
            self.expect("the id, which is in the cookie, is not there", !is_there);
            let theme = servers.cli(&["HGET", key, "theme"]);
            self.expect("attributes are fields, readable as JSON", theme == r#""dark""#);
        }
    }

    async fn use_another_copy(&mut self) -> Result<()> {
        self.title("Another copy of the shop, which has not seen this session yet: reading");
        self.at = 1;
        self.start_counting();
        let answer = self.get("/session").await?;
        self.expect_session(
            &answer,
            json!({ "cart": { "apple": 3, "pear": 1 }, "theme": "dark", "user": null, "visits": 2 }),
        );
        self.expect_commands("one load, nothing is written", &[("hgetall", 1), ("pttl", 1)]);

        self.title("Changing one attribute");
        self.start_counting();
        self.post("/theme", &[("theme", "light")]).await?;
        self.expect_scripts("one script writes the change", 1);

        self.title("Writing the same value again");
        self.start_counting();
        self.post("/theme", &[("theme", "light")]).await?;
        self.expect_scripts("nothing is written", 0);

        self.at = 0;
        self.title("Back at the first copy");
        let answer = self.get("/session").await?;
        self.expect("it sees the change", answer.json()["theme"] == "light");
        Ok(())
    }

    async fn use_both_at_once(&mut self) -> Result<()> {
        self.title("Twenty visits at once, ten at each copy");
        let mut requests = JoinSet::new();
        for number in 0..20 {
            let url = format!("{}/visits", self.shops[number % self.shops.len()]);
            requests.spawn(self.client.get(url).send());
        }
        let answers = requests.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.expect("all are answered", answers.iter().all(|answer| answer.status() == StatusCode::OK));
        let answer = self.get("/session").await?;
        self.expect("every visit is counted once", answer.json()["visits"] == 22);
        Ok(())
    }

    /// Returns the key of the session after the login.
    async fn log_in(&mut self) -> Result<Option<String>> {
        self.title("Login: a new id, the same content");
        let before = self.get("/session").await?.json();
        let old_cookie = self.cookie.clone();
        let old_key = self.session_key();
        let answer = self.post("/login", &[("name", "Ada")]).await?;
        self.expect("a cookie is set", answer.cookie.is_some());
        self.expect("its id is another one", answer.cookie.is_some() && answer.cookie != old_cookie);
        let mut expected = before;
        expected["user"] = "Ada".into();
        let answer = self.get("/session").await?;
        self.expect_session(&answer, expected);
        let key = self.session_key();
        if self.servers.is_some() {
            self.expect("in Redis it is another key", key.is_some() && key != old_key);
        }
        if let Some(cookie) = &old_cookie {
            self.expect_dead("the old id", cookie).await?;
        }
        Ok(key)
    }

    async fn log_out(&mut self, key: Option<String>) -> Result<()> {
        self.title("Logout");
        let cookie = self.cookie.clone();
        let answer = self.post("/logout", &[]).await?;
        self.expect("the cookie is removed", answer.cookie.is_some_and(|(_, value)| value.is_empty()));
        if let Some(cookie) = &cookie {
            self.expect_dead("the id", cookie).await?;
        }
        let answer = self.get("/session").await?;
        self.expect_session(&answer, json!({ "cart": {}, "theme": "light", "user": null, "visits": 0 }));
        if let (Some(servers), Some(key)) = (self.servers, key) {
            let exists = servers.shell(&["EXISTS", &key]);
            self.expect("the session's key is gone", exists == "0");
            let keys = self.keys();
            for key in &keys {
                servers.shell(&["HGETALL", key]);
                let left: i64 = servers.shell(&["PTTL", key]).parse().unwrap_or(-1);
                self.expect("what is left of the old id is a mark for a minute", (1..=60_000).contains(&left));
            }
            let fields = keys.iter().flat_map(|key| self.fields(key)).collect::<Vec<_>>();
            self.expect("no attribute is left", fields.iter().all(|field| field.starts_with('@')));
        }
        Ok(())
    }

    /// Behind a proxy: which session lies on which server.
    async fn spread(&mut self) -> Result<()> {
        const VISITORS: usize = 12;
        let Some(servers @ Servers::Twemproxy(_)) = self.servers else { return Ok(()) };
        self.title("Twelve more visitors: on which server each session lies");
        let before = self.keys();
        let mut counted = 0;
        for number in 0..VISITORS {
            let url = format!("{}/visits", self.shops[number % self.shops.len()]);
            // Each with a browser of his own.
            counted += usize::from(Client::new().get(url).send().await?.text().await? == "1");
        }
        self.expect("every visitor is counted", counted == VISITORS);
        let mut sessions = servers.keys(KEY_PREFIX);
        sessions.iter_mut().for_each(|keys| keys.retain(|key| !before.contains(key)));
        println!();
        for ((keys, server), number) in sessions.iter().zip(servers.all()).zip(1..) {
            println!("     server {number} at {}: {} of {VISITORS} sessions", server.address(), keys.len());
            keys.iter().for_each(|key| println!("         {key}"));
        }
        self.expect("each session lies on one server", sessions.concat().len() == VISITORS);
        let used = sessions.iter().filter(|keys| !keys.is_empty()).count();
        self.expect("they are spread", used > 1);
        let expires = |key: &String| servers.cli(&["PTTL", key]).parse().is_ok_and(|left: i64| left > 0);
        self.expect("all of them expire", sessions.concat().iter().all(expires));
        Ok(())
    }

    fn sum_up(&self) -> bool {
        println!();
        for wrong in &self.wrong {
            println!("NOT AS EXPECTED: {wrong}");
        }
        println!("{} of {} checks were as expected", self.checks - self.wrong.len(), self.checks);
        self.wrong.is_empty()
    }

    async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[]).await
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        self.send(Method::POST, path, form).await
    }

    async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        let fields: String = form.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        println!("{method} {path}{fields}");
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.shops[self.at]));
        if method == Method::POST {
            request = request.form(form);
        }
        let response = request.send().await?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        println!("     {status}{}", location.map(|location| format!(", Location: {location}")).unwrap_or_default());
        let mut cookie = None;
        for header in response.headers().get_all(SET_COOKIE) {
            let (pair, attributes) = header.to_str()?.split_once(';').unwrap_or((header.to_str()?, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let hidden = if value.is_empty() { "" } else { "<hidden>" };
            println!("     Set-Cookie: {name}={hidden};{attributes}");
            cookie = Some((name.to_owned(), value.to_owned()));
        }
        if cookie.is_some() {
            self.cookie.clone_from(&cookie);
        }
        let text = response.text().await?;
        match text.len() {
            0 => {}
            length if text.starts_with("<!") => println!("     a page of {length} bytes"),
            _ => println!("     {text}"),
        }
        Ok(Answer { status, cookie, text })
    }

    /// Asks with another cookie than the browser has.
    async fn expect_dead(&mut self, whose: &str, (name, value): &(String, String)) -> Result<()> {
        println!("GET /session with {whose}");
        let url = format!("{}/session", self.shops[self.at]);
        // A browser of its own, without cookies.
        let response = Client::new().get(url).header(COOKIE, format!("{name}={value}")).send().await?;
        let found: Value = serde_json::from_str(&response.text().await?)?;
        println!("     {found}");
        let nothing = json!({ "cart": {}, "theme": "light", "user": null, "visits": 0 });
        self.expect(&format!("{whose} is dead"), found == nothing);
        Ok(())
    }

    fn title(&self, title: &str) {
        let copy = if self.at == 0 { "" } else { " (at another copy)" };
        println!("\n--- {title}{copy}");
    }

    fn expect(&mut self, what: &str, is_so: bool) {
        self.checks += 1;
        println!("     {} {what}", if is_so { "ok:" } else { "NOT AS EXPECTED:" });
        if !is_so {
            self.wrong.push(what.to_owned());
        }
    }

    fn expect_session(&mut self, answer: &Answer, expected: Value) {
        let what = format!("the session holds {expected}");
        self.expect(&what, answer.json() == expected);
    }

    fn start_counting(&self) {
        if let Some(servers) = self.servers {
            servers.start_counting();
        }
    }

    /// The commands since the counting started, those within scripts too.
    fn commands(servers: &Servers) -> BTreeMap<String, u64> {
        let mut counts = servers.commands();
        counts.retain(|name, _| !HOUSEKEEPING.contains(&name.split('|').next().unwrap_or(name)));
        let shown: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        println!("     commands at Redis: {}", if shown.is_empty() { "none".to_owned() } else { shown.join(", ") });
        counts
    }

    fn expect_commands(&mut self, what: &str, expected: &[(&str, u64)]) {
        let Some(servers) = self.servers else { return };
        let expected = expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        self.expect(what, Self::commands(servers) == expected);
    }

    fn expect_scripts(&mut self, what: &str, expected: u64) {
        let Some(servers) = self.servers else { return };
        let counts = Self::commands(servers);
        let scripts: u64 = ["eval", "evalsha"].iter().filter_map(|name| counts.get(*name)).sum();
        self.expect(what, scripts == expected);
    }

    /// The keys of all sessions.
    fn keys(&self) -> Vec<String> {
        self.servers.map(|servers| servers.keys(KEY_PREFIX).concat()).unwrap_or_default()
    }

    fn fields(&self, key: &str) -> Vec<String> {
        let Some(servers) = self.servers else { return Vec::new() };
        servers.cli(&["HKEYS", key]).lines().map(str::to_owned).collect()
    }

    /// The key of the session that has visits.
    fn session_key(&self) -> Option<String> {
        self.keys().into_iter().find(|key| self.fields(key).iter().any(|field| field == "visits"))
    }
}
