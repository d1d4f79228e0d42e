//! What a configuration says about orders: accounts and where their keys are, the ledger, limits.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::orders::desk::Orphans;
use engine::orders::{Limits, Scope};
use meltica::config::{Config, Fault, LedgerPlace, SecretSource, load_str};
use model::venue::Rate;
use store::ledger::Durability;
use venues::orders::OrderWay;
use zeroize::Zeroizing;

const SPOT: &str = r#"
[[provider]]
name = "spot"
venue = "binance"
instruments = ["BTC-USDT"]
"#;

/// A secret in a file that its owner alone can read, or others too.
fn key(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn faults(text: &str) -> Vec<Fault> {
    load_str(text, &[]).map(|config| panic!("{config:?}")).unwrap_err()
}

#[track_caller]
fn assert_fault(text: &str, key: &str, words: &str) {
    let found = faults(text);
    let [fault] = &found[..] else { panic!("{text}: {found:?}") };
    assert_eq!(fault.key, key, "{fault:?}");
    assert!(fault.expected.contains(words), "{fault:?}");
}

/// A configuration with an account, whose files are in that folder.
fn with_account(folder: &Path) -> String {
    let (name, secret) =
        (key(folder, "key", "abc\n", 0o600), key(folder, "secret", "\n  def \n", 0o600));
    format!("{SPOT}api_key_file = {name:?}\nsecret_file = {secret:?}\n")
}

fn good(text: &str) -> Config {
    load_str(text, &[]).unwrap()
}

#[test]
fn an_account_is_where_its_keys_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_account(folder.path());
    let config = good(&format!("{text}orders_over = \"rest\"\naccount_url = \"wss://a.b\"\n"));
    let provider = &config.providers[0];
    let account = provider.account.as_ref().unwrap();
    assert_eq!(account.api_key, SecretSource::File(folder.path().join("key")));
    // A type that wipes what it held, also where it came from the environment.
    let secret: Zeroizing<String> = account.secret.read().unwrap();
    assert_eq!(*secret, "def", "without the spaces around it");
    let variable: Zeroizing<String> = SecretSource::Variable("PATH".to_owned()).read().unwrap();
    assert_eq!(*variable, std::env::var("PATH").unwrap().trim());
    assert_eq!(account.read().unwrap().key(), "abc");
    assert_eq!(provider.settings.orders, OrderWay::Rest);
    assert_eq!(provider.settings.account_url.as_deref(), Some("wss://a.b"));
    assert_eq!(good(SPOT).providers[0].account, None);
    let shown = format!("{config:?}");
    assert!(!shown.contains("abc") && !shown.contains("def"), "{shown}");
}

#[test]
fn a_key_that_others_can_read_or_that_is_not_there_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_account(folder.path());
    key(folder.path(), "secret", "def", 0o640);
    assert_fault(&text, "provider[0].secret_file", "chmod 600");
    key(folder.path(), "secret", " \n", 0o600);
    assert_fault(&text, "provider[0].secret_file", "it is empty");
    fs::remove_file(folder.path().join("secret")).unwrap();
    assert_fault(&text, "provider[0].secret_file", "No such file");
    let variable = "api_key_env = \"MELTICA_TEST_UNSET_KEY\"\nsecret_file = \"nowhere\"\n";
    let found = faults(&format!("{SPOT}{variable}"));
    assert!(found[0].expected.contains("no environment variable of that name"), "{found:?}");
    // Somebody may have pasted the secret itself.
    let pasted = "api_key_env = \"s3cr3tkey\"\nsecret_file = \"s3cr3tvalue\"\n";
    let found = faults(&format!("{SPOT}{pasted}"));
    assert!(found.len() == 2 && !format!("{found:?}").contains("s3cr3t"), "{found:?}");
}

#[test]
fn a_key_file_that_cant_be_read_is_named_but_for_what_may_be_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_account(folder.path());
    let secret = folder.path().join("secret");
    let named = secret.display().to_string();
    key(folder.path(), "secret", "def", 0o644);
    assert_fault(&text, "provider[0].secret_file", &format!("can read ({named}: others can"));
    fs::remove_file(&secret).unwrap();
    assert_fault(&text, "provider[0].secret_file", &format!("can read ({named}: No such file"));
    let source = SecretSource::File(secret);
    assert!(source.read().unwrap_err().starts_with(&named), "as a run says it");
    for pasted in ["s3cr3t", "s3cr3t/with+a/slash=", "/s3cr3t+slash", "-----BEGIN s3cr3t"] {
        let why = SecretSource::File(pasted.into()).read().unwrap_err();
        assert!(!why.contains("s3cr3t") && why.contains("No such file"), "{why}");
        assert!(why.contains("no path to a folder that exists"), "{why}");
    }
}

#[test]
fn an_account_is_whole_and_said_once_and_at_a_venue_that_takes_orders() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_account(folder.path());
    let alone = text.lines().filter(|line| !line.starts_with("secret")).collect::<Vec<_>>();
    assert_fault(&alone.join("\n"), "provider[0].secret_file", "where the secret is");
    let both = format!("{text}secret_env = \"PATH\"\n");
    assert_fault(&both, "provider[0].secret_env", "one of both");
    let kraken = text.replace("\"binance\"", "\"kraken\"");
    assert_fault(&kraken, "provider[0].api_key_file", "binance, binance-usdm, okx only");
    let plain = format!("{SPOT}api_key_env = \"s3cr3t value\"\nsecret_env = \"PATH\"\n");
    assert_fault(&plain, "provider[0].api_key_env", "not the value itself");
}

#[test]
fn ledger_and_desk_have_defaults_and_what_is_written_goes_over_them() {
    let config = good(SPOT);
    assert_eq!(config.orders, Default::default());
    assert_eq!(config.orders.ledger.place, LedgerPlace::File("meltica-ledger.db".into()));
    let text = "[ledger]\nfile = \"a/b.db\"\ndurability = \"os\"\n[orders]\n\
                reconcile_every = \"5s\"\norphans = \"cancel\"\ndead_man = \"30s\"\n";
    let orders = good(&format!("{SPOT}{text}")).orders;
    assert_eq!(orders.ledger.place, LedgerPlace::File("a/b.db".into()));
    assert_eq!(orders.ledger.durability, Durability::Os);
    assert_eq!(orders.desk.reconcile_every, Some(Duration::from_secs(5)));
    assert_eq!(orders.desk.orphans, Orphans::Cancel);
    assert_eq!(orders.desk.dead_man, Some(Duration::from_secs(30)));
    let fault = format!("{SPOT}[ledger]\ndurability = \"none\"\n");
    assert_fault(&fault, "ledger.durability", "each, batch, os");
}

#[test]
fn a_limit_is_about_one_scope_and_limits_something() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_account(folder.path());
    let limit = |lines: &str| format!("{text}[[limit]]\nname = \"l\"\n{lines}\n");
    let of = |lines: &str| good(&limit(lines)).orders.limits.remove(0);
    let open = Limits { open_max: Some(3), ..Limits::default() };
    let (consumer, spot, btc) = ("strategy".into(), "spot".into(), "BTC-USDT".into());
    let expected = (Scope::Consumer(consumer), open.clone());
    assert_eq!(of("consumer = \"strategy\"\nopen_max = 3"), expected);
    let expected = (Scope::Instrument { provider: spot, instrument: btc }, open);
    let lines = "provider = \"spot\"\ninstrument = \"BTC-USDT\"\nopen_max = 3";
    assert_eq!(of(lines), expected);
    let lines = "provider = \"spot\"\norders_max = 5\norders_per = \"1s\"\n\
                 order_notional_max = \"100.50\"";
    let (scope, limits) = of(lines);
    assert_eq!(scope, Scope::Account("spot".into()));
    assert_eq!(limits.orders, Some(Rate { count: 5, per: Duration::from_secs(1) }));
    assert_eq!(limits.order_notional_max.unwrap().to_string(), "100.50");

    for (lines, key, words) in [
        ("open_max = 3", "limit[0]", "whom it is about"),
        ("instrument = \"BTC-USDT\"\nopen_max = 3", "limit[0]", "whom it is about"),
        ("consumer = \"a\"", "limit[0].open_max", "at least one limit"),
        ("provider = \"sport\"\nopen_max = 3", "limit[0].provider", "did you mean 'spot'"),
        ("consumer = \"a\"\nposition_max = 0.5", "limit[0].position_max", "in quotation marks"),
        ("consumer = \"a\"\nposition_max = \"-1\"", "limit[0].position_max", "above zero"),
        ("consumer = \"a\"\nopen_max = 1\norders_max = 3", "limit[0].orders_per", "a duration"),
    ] {
        let found = faults(&limit(lines));
        let right = found.iter().any(|f| f.key == key && f.expected.contains(words));
        assert!(right, "{lines}: {found:?}");
    }
    let twice = format!(
        "{}[[limit]]\nname = \"m\"\nconsumer = \"a\"\nopen_max = 4\n",
        limit("consumer = \"a\"\nopen_max = 3")
    );
    assert_fault(&twice, "limit[1]", "another one has the same");
}
