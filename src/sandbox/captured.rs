//! What a postgres capture says about the server that it came from, as far as a throw-away one must be like it.

use crate::model::{Detail, FailureClass, SourceFailure};
use crate::source::postgres::properties::{DatabaseProperties, LocaleProvider, Properties};

pub(super) struct Captured {
    properties: Properties,
}

impl Captured {
    pub(super) fn read(detail: &Detail) -> Result<Self, SourceFailure> {
        let properties = serde_json::from_value(detail.properties.clone()).map_err(|error| {
            let message = format!("what it says of the captured server does not parse: {error}");
            SourceFailure::new(FailureClass::Damaged, "backup", message)
        })?;
        Ok(Captured { properties })
    }

    pub(super) fn major(&self) -> u32 {
        self.properties.server.version_num / 10_000
    }

    /// Of the client tools: those that wrote the archive read it, and never older ones than the server.
    pub(super) fn client_major(&self) -> u32 {
        self.major().max(self.properties.tools.major)
    }

    /// Bytes that the databases took where they were captured.
    pub(super) fn bytes(&self) -> u64 {
        self.properties.databases.iter().fold(0, |sum, database| sum.saturating_add(database.size_bytes))
    }

    /// The role that `initdb` makes: globals then find it there.
    pub(super) fn bootstrap_role(&self) -> &str {
        match self.properties.server.bootstrap_role.as_str() {
            "" => "postgres",
            name => name,
        }
    }

    pub(super) fn version_num(&self) -> u32 {
        self.properties.server.version_num
    }

    /// The database that a stream holds.
    pub(super) fn database(&self, stream: &str) -> Option<&DatabaseProperties> {
        self.properties.databases.iter().find(|database| database.stream == stream)
    }

    /// Options of `initdb`. `postgres` and `template1` are loaded into those that it makes, so its encoding and locale
    /// are theirs.
    pub(super) fn initdb_options(&self) -> Vec<String> {
        let mut options = vec![format!("--username={}", self.bootstrap_role())];
        let all = &self.properties.databases;
        let named = |name: &str| all.iter().find(|database| database.name == name);
        if let Some(like) = named("postgres").or(named("template1")).or(all.first()) {
            options.extend(locale_options(like));
        }
        options
    }
}

fn locale_options(like: &DatabaseProperties) -> Vec<String> {
    let locale = &like.locale;
    let mut options = vec![format!("--encoding={}", like.encoding)];
    let collate = if locale.collate.is_empty() { "C" } else { &locale.collate };
    let ctype = if locale.ctype.is_empty() { collate } else { &locale.ctype };
    options.extend([format!("--locale={collate}"), format!("--lc-ctype={ctype}"), "--lc-messages=C".into()]);
    let name = locale.locale.as_deref().unwrap_or_default();
    match locale.provider {
        LocaleProvider::Libc => {}
        LocaleProvider::Icu => {
            options.extend(["--locale-provider=icu".into(), format!("--icu-locale={name}")]);
            options.extend(locale.icu_rules.iter().map(|rules| format!("--icu-rules={rules}")));
        }
        LocaleProvider::Builtin => {
            options.extend(["--locale-provider=builtin".into(), format!("--builtin-locale={name}")]);
        }
    }
    options
}
