//! Which keys there are: one list for reading, for the environment, and for the test that
//! `config/meltica.toml` explains every one.

/// A table of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// Whether there are any number of it, written `[[name]]`.
    pub repeated: bool,
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// A connection to a venue.
pub const PROVIDER: Section = Section {
    name: "provider",
    repeated: true,
    keys: &[
        "name",
        "venue",
        "instruments",
        "kinds",
        "redundancy",
        "ws_url",
        "rest_url",
        "book_depth",
        "silence",
        "api_key_file",
        "api_key_env",
        "secret_file",
        "secret_env",
        "passphrase_file",
        "passphrase_env",
        "account_url",
        "orders_over",
    ],
};

/// Streams of several providers that are joined into one.
pub const MERGE: Section = Section {
    name: "merge",
    repeated: true,
    keys: &[
        "name",
        "instrument",
        "kind",
        "providers",
        "close",
        "window",
        "max_fragments",
        "consumers",
    ],
};

/// Connections in general.
pub const NETWORK: Section = Section {
    name: "network",
    repeated: false,
    keys: &["tls_ca_file", "connect_timeout", "request_timeout"],
};

/// What all consumers together may get.
pub const DISPATCH: Section =
    Section { name: "dispatch", repeated: false, keys: &["events_per_s"] };

/// What comes in another order than it was sent.
pub const RESEQUENCING: Section = Section {
    name: "resequencing",
    repeated: false,
    keys: &["lateness", "look_every", "max_waiting"],
};

/// Logs.
pub const LOG: Section = Section { name: "log", repeated: false, keys: &["filter", "format"] };

/// The table of the terminal.
pub const TABLE: Section = Section { name: "table", repeated: false, keys: &["enabled", "every"] };

/// The control bus.
pub const CONTROL: Section =
    Section { name: "control", repeated: false, keys: &["linger", "confirm_within"] };

/// What could not be used or delivered.
pub const DEAD_LETTERS: Section = Section {
    name: "dead_letters",
    repeated: false,
    keys: &["folder", "max_entries", "max_bytes", "max_payload", "file_size", "max_files"],
};

/// A consumer that the program has.
pub const CONSUMER: Section = Section {
    name: "consumer",
    repeated: true,
    keys: &[
        "name",
        "placement",
        "budget",
        "overruns_max",
        "restart",
        "restart_after",
        "restart_at_most",
        "may_subscribe",
        "may_trade",
        "trading",
        "breaker",
        "breaker_per",
    ],
};

/// Where orders are written down.
pub const LEDGER: Section =
    Section { name: "ledger", repeated: false, keys: &["file", "postgres_env", "durability"] };

/// How the order desk works.
pub const ORDERS: Section =
    Section { name: "orders", repeated: false, keys: &["reconcile_every", "orphans", "dead_man"] };

/// What nobody may exceed.
pub const LIMIT: Section = Section {
    name: "limit",
    repeated: true,
    keys: &[
        "name",
        "consumer",
        "provider",
        "instrument",
        "order_notional_max",
        "position_max",
        "total_notional_max",
        "price_band_bp",
        "orders_max",
        "orders_per",
        "open_max",
    ],
};

/// All of them.
pub static SECTIONS: [Section; 13] = [
    PROVIDER,
    MERGE,
    NETWORK,
    DISPATCH,
    RESEQUENCING,
    LOG,
    TABLE,
    CONTROL,
    DEAD_LETTERS,
    CONSUMER,
    LEDGER,
    ORDERS,
    LIMIT,
];
