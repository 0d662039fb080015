//! The names of Java's clients (producer, consumer, admin; 0.10 to 4.4) that are no settings here, and why.

/// What becomes of a property of Java's that is no setting here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has no effect, for this reason.
    Ignored(&'static str),
    /// To ignore it would be dangerous.
    Refused,
}

const TLS: &[&str] = &[
    "security.providers",
    "ssl.cipher.suites",
    "ssl.enabled.protocols",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.factory.class",
    "ssl.key.password",
    "ssl.keymanager.algorithm",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.protocol",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

const SASL: &[&str] = &[
    "sasl.client.callback.handler.class",
    "sasl.jaas.config",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.service.name",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.login.connect.timeout.ms",
    "sasl.login.read.timeout.ms",
    "sasl.login.refresh.buffer.seconds",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.refresh.window.factor",
    "sasl.login.refresh.window.jitter",
    "sasl.login.retry.backoff.max.ms",
    "sasl.login.retry.backoff.ms",
    "sasl.mechanism",
    "sasl.oauthbearer.allow.unverified.audience",
    "sasl.oauthbearer.allow.unverified.issuer",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.template.file",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.clock.skew.seconds",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.header.urlencode",
    "sasl.oauthbearer.jwks.endpoint.refresh.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.jwt.retriever.class",
    "sasl.oauthbearer.jwt.validator.class",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.scope.claim.name",
    "sasl.oauthbearer.sub.claim.name",
    "sasl.oauthbearer.token.endpoint.url",
];

const BYTES: &str = "keys and values are bytes here";
const METRICS: &str = "statistics are read from the client's `stats`";
const INTERCEPTORS: &str =
    "there are no interceptors; messages can be changed before they are sent and after they are read";
const SYSTEM: &str = "the buffers of sockets are the system's choice";
const PARTITIONER: &str =
    "the sticky partition does not depend on brokers; `balancer` takes any other choice";
const METADATA: &str =
    "metadata is kept for topics that are in use, and bootstrap addresses are tried again by themselves";
const TRANSACTIONS: &str = "transactions are not supported";
const CLASSIC: &str = "members use the classic protocol of groups";
const SHARE: &str = "share groups are not supported";
const OLD: &str = "Java's clients have not had it for long";
const INTERNAL: &str = "internal to Java's clients";

const IGNORED: &[(&str, &str)] = &[
    ("auto.include.jmx.reporter", METRICS),
    ("block.on.buffer.full", OLD),
    ("bootstrap.controllers", "controllers are not talked to directly"),
    (
        "bootstrap.resolve.timeout.ms",
        "names are resolved within the connect timeout, whenever a connection is made",
    ),
    ("buffer.memory.allocation.strategy", "memory is taken as records come"),
    ("client.dns.lookup", "all addresses of a name are tried"),
    ("compression.lz4.level", "LZ4 has no levels here, it is always the fast variant"),
    ("config.providers", "values are taken as they are; ask the provider before"),
    ("enable.auto.commit", "`read` and `mark` commit by themselves, the other ways of reading never do"),
    ("enable.metrics.push", METRICS),
    ("exclude.internal.topics", "topics are named, there are no patterns"),
    ("group.protocol", CLASSIC),
    ("group.remote.assignor", CLASSIC),
    ("interceptor.classes", INTERCEPTORS),
    ("internal.auto.downgrade.txn.commit", INTERNAL),
    ("internal.leave.group.on.close", INTERNAL),
    ("internal.throw.on.fetch.stable.offset.unsupported", INTERNAL),
    ("key.deserializer", BYTES),
    ("key.serializer", BYTES),
    (
        "max.block.ms",
        "`send` waits for as long as it is awaited, and `delivery_timeout` counts from its call",
    ),
    ("max.poll.records", "messages are given out one at a time"),
    ("metadata.cluster.check.enable", "addresses of several clusters are always noticed"),
    ("metadata.fetch.timeout.ms", OLD),
    ("metadata.max.idle.ms", METADATA),
    ("metadata.recovery.rebootstrap.trigger.ms", METADATA),
    ("metadata.recovery.strategy", METADATA),
    ("metric.reporters", METRICS),
    ("metrics.num.samples", METRICS),
    ("metrics.recording.level", METRICS),
    ("metrics.sample.window.ms", METRICS),
    ("partitioner.adaptive.partitioning.enable", PARTITIONER),
    ("partitioner.availability.timeout.ms", PARTITIONER),
    ("partitioner.ignore.keys", PARTITIONER),
    ("partitioner.rack.aware", PARTITIONER),
    ("receive.buffer.bytes", SYSTEM),
    ("send.buffer.bytes", SYSTEM),
    ("share.acknowledgement.mode", SHARE),
    ("share.acquire.mode", SHARE),
    (
        "socket.connection.setup.timeout.max.ms",
        "the timeout of connecting does not grow, the waits between attempts do",
    ),
    ("timeout.ms", OLD),
    ("transaction.timeout.ms", TRANSACTIONS),
    ("transaction.two.phase.commit.enable", TRANSACTIONS),
    ("transactional.id", TRANSACTIONS),
    ("value.deserializer", BYTES),
    ("value.serializer", BYTES),
];

/// Returns the name as Java has it, and what becomes of it.
pub(super) fn fate(property: &str) -> Option<(&'static str, Fate)> {
    if let Some(name) = security(property) {
        return Some((name, Fate::Refused));
    }
    let of_java = IGNORED.iter().find(|(name, _)| *name == property);
    of_java.map(|(name, why)| (*name, Fate::Ignored(why)))
}

/// Returns what a property of security is called in errors, also where Java does not know it.
fn security(property: &str) -> Option<&'static str> {
    let known = TLS.iter().chain(SASL).find(|name| **name == property).copied();
    known.or_else(|| match property {
        _ if property.starts_with("ssl.") => Some("ssl.*"),
        _ if property.starts_with("sasl.") => Some("sasl.*"),
        _ => None,
    })
}

/// All names that are listed here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TLS.iter().chain(SASL).copied().chain(IGNORED.iter().map(|(name, _)| *name))
}

/// Returns whether the value of a property may be a secret, which nothing must show.
pub(super) fn is_secret(property: &str) -> bool {
    let name = property.to_ascii_lowercase();
    let parts = ["password", "passphrase", "secret", "token", "jaas", "key", "credential"];
    name.starts_with("sasl.") || name.starts_with("ssl.") || parts.iter().any(|part| name.contains(part))
}
