//! The pages of `docs/`, whose examples are compiled and run with the documentation tests.
//! What is in this module exists for them only.

/// Makes the examples of pages testable, each page under a name of its own.
macro_rules! pages {
    ($($name:ident = $path:literal),* $(,)?) => {
        $(
            #[doc = include_str!(concat!("../../../", $path))]
            mod $name {}
        )*
    };
}

pages! {
    readme = "README.md",
    guide = "docs/guide/README.md",
    default_mechanisms = "docs/guide/default-mechanisms.md",
    status_flow = "docs/guide/status-flow.md",
    restricting = "docs/guide/restricting.md",
    disabling = "docs/guide/disabling.md",
    anonymous = "docs/guide/anonymous.md",
    external = "docs/guide/external.md",
    explicit_binding = "docs/guide/explicit-binding.md",
    custom_mechanism = "docs/guide/custom-mechanism.md",
    key_caching = "docs/guide/key-caching.md",
    finding_the_server = "docs/guide/finding-the-server.md",
    bosh = "docs/guide/bosh.md",
    lasting_sessions = "docs/guide/lasting-sessions.md",
    stanzas = "docs/guide/stanzas.md",
    channel_binding = "docs/guide/channel-binding.md",
    pins = "docs/guide/pins.md",
    quick_logins = "docs/guide/quick-logins.md",
    when_a_login_fails = "docs/guide/when-a-login-fails.md",
    components = "docs/guide/components.md",
    coming_from_strophe = "docs/coming-from-strophe.md",
    writing_a_driver = "docs/writing-a-driver.md",
    errors = "docs/errors.md",
}
