//! File, environment and flags together, and each wrong value.

use super::*;

fn check(file: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Config> {
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::from_parts(Some(file), &environment, flags)
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    let error = check(file, environment, &Flags::default()).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Invalid);
    assert!(!error.detail().contains('\n'), "one line: {error}");
    error.detail().to_owned()
}

#[test]
fn nothing_set_is_the_embedded_default() {
    let config = check("", &[], &Flags::default()).unwrap();
    assert_eq!(config.listen, "127.0.0.1:8080");
    assert!(config.data.is_absolute() && config.data.ends_with("kura-data"));
    let folder = config.data.to_str().unwrap();
    let database = format!("sqlite://{folder}/kura.db?mode=rwc");
    assert_eq!(config.database_url.expose(), database);
    let storage = format!("fs://{folder}/blobs");
    assert_eq!(config.storage_url.expose(), storage);
    assert!(config.database_is_embedded());
    let elsewhere = [("database_url", "sqlite:///srv/other.db")];
    let config = check("", &elsewhere, &Flags::default()).unwrap();
    assert!(!config.database_is_embedded());
}

#[test]
fn the_file_gives_way_to_the_environment_and_both_to_flags() {
    let file = "listen = \"a:1\"\nlog = \"warn\"\nworkers = 1\n[auth]\nlocal_issuer = true";
    let environment = [("listen", "b:2"), ("log", "debug")];
    let flags = Flags {
        listen: Some("c:3".to_owned()),
        ..Flags::default()
    };
    let config = check(file, &environment, &flags).unwrap();
    assert_eq!(
        (&*config.listen, &*config.log, config.workers),
        ("c:3", "debug", Some(1))
    );
}

#[test]
fn the_environment_reaches_tables_and_keeps_text_as_text() {
    let environment = [("data", "2026"), ("trust_forwarded", "true")];
    let config = check("", &environment, &Flags::default()).unwrap();
    assert!(config.data.ends_with("2026"));
    assert!(config.trust_forwarded);
}

#[test]
fn the_local_issuer_gives_way_to_the_first_identity_provider() {
    let issuer =
        r#"[{issuer="https://idp.example.org",facilities=["F012"],clients=["viewer-web"]}]"#;
    let alone = check("", &[], &Flags::default()).unwrap();
    assert!(alone.auth.local_issuer && alone.auth.issuers.is_empty());
    let environment = [("auth__issuers", issuer)];
    let config = check("", &environment, &Flags::default()).unwrap();
    assert!(!config.auth.local_issuer);
    assert_eq!(config.auth.issuers[0].issuer, "https://idp.example.org");
    let file = format!(
        "[auth]\nlocal_issuer = true\n[[auth.issuers]]\n{}",
        &issuer[2..issuer.len() - 2]
            .replace(",f", "\nf")
            .replace(",c", "\nc")
    );
    let config = check(&file, &[], &Flags::default()).unwrap();
    assert!(config.auth.local_issuer && config.auth.issuers.len() == 1);
    let twice = issuer.replace("]}]", "]},") + &issuer[1..];
    assert!(refusal("", &[("auth__issuers", &twice)]).contains("auth.issuers[1].issuer"));
    let broken = refusal("", &[("auth__issuers", r#"[{issuer="x"}]"#)]);
    assert!(broken.contains("issuers"), "{broken}");
}

#[test]
fn what_an_orchestrator_or_a_test_sets_is_left_alone() {
    let environment = [
        ("service_host", "10.0.0.1"),
        ("port_8080_tcp", "tcp://10.0.0.1:8080"),
        ("test_python", "python3"),
    ];
    assert!(check("", &environment, &Flags::default()).is_ok());
}

#[test]
fn a_folder_with_url_characters_stays_one_path() {
    let config = check("", &[("data", "/srv/a?b#c%d")], &Flags::default()).unwrap();
    assert_eq!(config.storage_url.expose(), "fs:///srv/a%3Fb%23c%25d/blobs");
}

#[test]
fn public_url_loses_its_slash() {
    let set = [("public_url", "https://kura.example.org/archive/")];
    let config = check("", &set, &Flags::default()).unwrap();
    assert_eq!(
        config.public_url.as_deref(),
        Some("https://kura.example.org/archive")
    );
}

#[test]
fn each_wrong_value_is_one_line_that_names_its_key() {
    for (key, value) in [
        ("listen", "8080"),
        ("listen", ":8080"),
        ("listen", "localhost:65536"),
        ("listen", "::1:8080x"),
        ("database_url", "mysql://kura@localhost/kura"),
        ("database_url", "kura.db"),
        ("storage_url", "ftp://server"),
        ("public_url", "kura.example.org"),
        ("public_url", "https://"),
        ("public_url", "https://user:word@kura.example.org"),
        ("public_url", "https://kura.example.org/?a=b"),
        ("log_format", "xml"),
        ("trust_forwarded", "perhaps"),
        ("workers", "0"),
        ("workers", "-1"),
        ("shutdown_timeout_s", "soon"),
        ("auth__local_issuer", "false"),
        ("limits__requests", "0"),
        ("limits__instance_bytes", "0"),
        ("limits__parts", "many"),
        ("limits__uploads_per_facility", "0"),
        ("limits__uploads_per_facility", "257"),
        ("limits__uploads_waiting", "-1"),
        ("limits__upload_wait_s", "0"),
        ("telemetry__sampling", "1.5"),
        ("telemetry__otlp_endpoint", "127.0.0.1:4318"),
        ("metrics__listen", "9090"),
        ("cors__origins", r#"["viewer.example"]"#),
        ("cors__origins", r#"["https://viewer.example/"]"#),
        ("cors__origins", r#"["https://Viewer.example"]"#),
        ("cors__origins", r#"["https://viewer.example:443"]"#),
        ("cors__origins", r#"["*", "https://viewer.example"]"#),
        ("cors__origins", r#"["null"]"#),
        ("cors__credentials", "true"),
        ("viewer__listen", "9091"),
    ] {
        let line = refusal("", &[(key, value)]);
        assert!(line.contains(&key.replace("__", ".")), "{key}: {line}");
    }
}

#[test]
fn unknown_keys_are_refused_wherever_they_stand() {
    assert!(refusal("", &[("databse_url", "sqlite://a.db")]).contains("KURA_DATABSE_URL"));
    assert!(refusal("databse_url = \"sqlite://a.db\"", &[]).contains("databse_url"));
    assert!(refusal("[auth]\npacks = 1", &[]).contains("packs"));
    assert!(refusal("listen = ", &[]).starts_with("configuration: "));
}

#[test]
fn a_missing_file_is_named() {
    let flags = Flags {
        config: Some(PathBuf::from("no-such-file.toml")),
        ..Flags::default()
    };
    let error = Config::load(&flags).unwrap_err();
    assert!(error.detail().contains("no-such-file.toml"));
}

#[test]
fn debug_hides_what_may_hold_a_password() {
    let url = ServiceUrl("postgres://kura:secret@db/kura".to_owned());
    assert_eq!(format!("{url:?} {url}"), "postgres://… postgres://…");
}

#[test]
fn the_table_of_keys_is_the_struct() {
    let value = serde_json::to_value(Written::default()).unwrap();
    let mut names = Vec::new();
    for (name, value) in value.as_object().unwrap() {
        match value.as_object() {
            Some(table) => names.extend(table.keys().map(|key| format!("{name}.{key}"))),
            None => names.push(name.clone()),
        }
    }
    names.sort();
    let mut keys: Vec<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    keys.sort();
    assert_eq!(keys, names);
    let env = |name: &str| KEYS.iter().find(|key| key.name == name).unwrap().env();
    assert_eq!(env("auth.local_issuer"), "KURA_AUTH__LOCAL_ISSUER");
}

#[test]
fn the_example_sets_what_holds_without_it() {
    let from_example = check(&example(), &[], &Flags::default()).unwrap();
    let without = check("", &[], &Flags::default()).unwrap();
    assert_eq!(format!("{from_example:?}"), format!("{without:?}"));
    for key in KEYS {
        let name = key.name.rsplit('.').next().unwrap();
        assert!(example().contains(&format!("{name} = ")), "{}", key.name);
    }
}
