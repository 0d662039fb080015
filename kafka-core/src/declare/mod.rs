//! The macros by which a setting is declared once: see `client/config.rs` for an example.
//!
//! Each part (client, writer, reader, group) lists its settings in a macro of its own, such as `client_settings!`. That macro
//! hands the list to another one that makes something of it:
//!
//! * [`declare!`]: the structure with its docs, its defaults, and what the rest of [`settings`](crate::settings) derives;
//! * [`methods!`]: the methods of a builder;
//! * a macro of an adapter that wraps a builder and forwards its methods.
//!
//! A list looks like this:
//!
//! ```text
//! /// Docs of the structure.
//! struct ClientConfig of Client, drafted as client;
//! method retry_backoff(min: Duration, max: Duration) {
//!     /// The first wait before a retry.
//!     retry_backoff: Duration = [100 ms], "time", [time], ["retry.backoff.ms"];
//!     /// The longest wait before a retry.
//!     retry_backoff_max: Duration = [1 s], "time", [time], ["retry.backoff.max.ms"];
//! }
//! ```
//!
//! A *block* is a builder's method with the fields that it sets, an argument each: `method` for one that is made,
//! `elsewhere` for one that is written by hand or belongs to another part, `only field()` where there is none. An argument
//! that has to be converted says so: `id: impl Into<Str> as id.into()`.
//!
//! A *field* has its meaning, name and type, then the default ([`value!`], [`text!`]), the unit, the range ([`range!`]), and
//! Java's names. Two things can follow: `else client.x` takes the default from the client's `x`, and `also group.x` makes the
//! method set the group's `x` as well.

pub(crate) mod checks;

/// Makes the structure of a part, with its [`Default`], and implements [`Declared`](crate::settings::draft::Declared) for it.
macro_rules! declare {
    (
        $(#[$attribute:meta])*
        struct $config:ident of $part:ident, drafted as $draft:ident;
        $(
            $how:ident $method:ident $arguments:tt {
                $(
                    $(#[doc = $meaning:literal])+
                    $field:ident: $type:ty = $default:tt, $unit:literal, $range:tt, [$($java:literal),*]
                    $(else client.$inherited:ident)? $(also group.$twin:ident)?;
                )+
            }
        )+
    ) => {
        $(#[$attribute])*
        pub struct $config {$($(
            $(#[doc = $meaning])+
            #[doc = ""]
            #[doc = $crate::declare::facts!($default $range [$($java),*] $($inherited)?)]
            pub $field: $type,
        )+)+}

        impl Default for $config {
            fn default() -> Self {
                Self {$($( $field: $crate::declare::value!($default), )+)+}
            }
        }

        impl $crate::settings::draft::Declared for $config {
            fn list() -> Vec<$crate::settings::Setting> {
                vec![$($( $crate::settings::Setting {
                    part: $crate::settings::Part::$part,
                    name: stringify!($field),
                    builder: $crate::declare::builder!($how $method),
                    unit: $unit,
                    default: $crate::declare::default_text!($default $($inherited)?),
                    range: $crate::declare::range_text!($range),
                    java: &[$($java),*],
                    meaning: concat!($($meaning),+).trim(),
                }, )+)+]
            }

            fn check(&self) -> $crate::error::Result<()> {
                $($( $crate::declare::range!($range, stringify!($field), &self.$field)?; )+)+
                Ok(())
            }

            fn inherit(&mut self, client: &$crate::config::ClientConfig, said: &$crate::settings::draft::Said) {
                let _ = (client, said); // where nothing is inherited
                $($($(
                    if !said.has(stringify!($field)) {
                        self.$field = client.$inherited.clone();
                    }
                )?)+)+
            }

            #[cfg(feature = "record")]
            fn keep(&self) -> $crate::settings::recorded::Settings {
                let kept = [$($( (stringify!($field), $crate::settings::recorded::Kept::keep(&self.$field)), )+)+];
                kept.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
            }

            #[cfg(feature = "record")]
            fn kept(settings: &$crate::settings::recorded::Settings) -> Option<Self> {
                let mut config = Self::default();
                for (name, value) in settings {
                    match &**name {
                        $($( stringify!($field) => config.$field = $crate::settings::recorded::Kept::kept(value)?, )+)+
                        // Of another version.
                        _ => {}
                    }
                }
                Some(config)
            }

            fn read(draft: &mut $crate::settings::draft::Draft<Self>, property: &str, text: &str) -> $crate::error::Result<bool> {
                let mut is_used = false;
                $($(
                    if let Some(java) = $crate::settings::values::name_of(property, &[$($java),*]) {
                        let value: $type = $crate::settings::values::read(java, text)?;
                        $crate::declare::range!($range, java, &value)?;
                        draft.config.$field = value;
                        draft.said.add_indirectly(stringify!($field));
                        is_used = true;
                    }
                )+)+
                Ok(is_used)
            }
        }
    };
}

/// Makes the methods of a builder, inside of its `impl`. The builder keeps the [`Draft`](crate::settings::draft::Draft) of the
/// part in the field that the list names.
macro_rules! methods {
    (
        $(#[$attribute:meta])*
        struct $config:ident of $part:ident, drafted as $draft:ident;
        $( $how:ident $method:ident $arguments:tt $fields:tt )+
    ) => {
        $( $crate::declare::method! { $draft $how $method $arguments $fields } )+
    };
}

/// Makes one method of a builder, or nothing where the list only names it.
macro_rules! method {
    (
        $draft:ident method $method:ident ($($argument:ident: $kind:ty $(as $value:expr)?),+) {
            $(
                $(#[doc = $meaning:literal])+
                $field:ident: $type:ty = $default:tt, $unit:literal, $range:tt, [$($java:literal),*]
                $(else client.$inherited:ident)? $(also group.$twin:ident)?;
            )+
        }
    ) => {
        $(
            $(#[doc = $meaning])+
            #[doc = ""]
            #[doc = $crate::declare::facts!($default $range [$($java),*] $($inherited)?)]
            #[doc = ""]
        )+
        pub fn $method(mut self, $($argument: $kind),+) -> Self {
            $(
                self.$draft.config.$field = $crate::declare::argument!($argument $($value)?);
                self.$draft.said.add(stringify!($field));
                $(
                    self.group.config.$twin = self.$draft.config.$field.clone().into();
                    self.group.said.add_indirectly(stringify!($twin));
                )?
            )+
            self
        }
    };
    ($draft:ident elsewhere $method:ident () $fields:tt) => {};
    ($draft:ident only field () $fields:tt) => {};
}

/// What an argument gives to its field.
macro_rules! argument {
    ($argument:ident) => {
        $argument
    };
    ($argument:ident $value:expr) => {
        $value
    };
}

/// The value of a default: `[30 s]`, `[8 MiB]` or `[any expression]`, which may have a text for people: `[None, "none"]`.
macro_rules! value {
    ([$number:literal ms]) => {
        std::time::Duration::from_millis($number)
    };
    ([$number:literal s]) => {
        std::time::Duration::from_secs($number)
    };
    ([$number:literal min]) => {
        std::time::Duration::from_secs(60 * $number)
    };
    ([$number:literal byte]) => {
        $number
    };
    ([$number:literal KiB]) => {
        $number << 10
    };
    ([$number:literal MiB]) => {
        $number << 20
    };
    ([$number:literal GiB]) => {
        $number << 30
    };
    ([$value:expr]) => {
        $value
    };
    ([$value:expr, $text:literal]) => {
        $value
    };
}

/// The text of a default, for people.
macro_rules! text {
    ([$number:literal $unit:ident]) => {
        concat!($number, " ", stringify!($unit))
    };
    ([$value:literal]) => {
        concat!($value)
    };
    ([$value:expr, $text:literal]) => {
        $text
    };
    ([$type:ident :: $variant:ident]) => {
        concat!("`", stringify!($type), "::", stringify!($variant), "`")
    };
    ([$value:expr]) => {
        concat!("`", stringify!($value), "`")
    };
}

/// The text of a default that may be the client's.
macro_rules! default_text {
    ($default:tt) => {
        $crate::declare::text!($default)
    };
    ($default:tt $inherited:ident) => {
        concat!("the client's `", stringify!($inherited), "`, ", $crate::declare::text!($default))
    };
}

/// Checks a value: `[]`, `[time]` (1 ms to the longest), `[time or zero]`, `[size from 1 KiB]` (to the largest on the wire),
/// `[from 1 KiB]`, `[1 KiB to 1 GiB]`, or `[by function]` with a function of the name and the value.
macro_rules! range {
    ([], $name:expr, $value:expr) => {
        $crate::declare::checks::anything($name, $value)
    };
    ([time], $name:expr, $value:expr) => {
        $crate::declare::checks::time($name, $value)
    };
    ([time or zero], $name:expr, $value:expr) => {
        $crate::declare::checks::time_or_zero($name, $value)
    };
    ([by $check:path], $name:expr, $value:expr) => {
        $check($name, $value)
    };
    ([size from $least:literal $unit:ident], $name:expr, $value:expr) => {
        $crate::declare::checks::between(
            $name, $value,
            $crate::declare::value!([$least $unit]),
            $crate::declare::checks::MAX_SIZE,
            $crate::declare::range_text!([size from $least $unit]),
        )
    };
    ([from $least:literal $($unit:ident)?], $name:expr, $value:expr) => {
        $crate::declare::checks::at_least(
            $name, $value,
            $crate::declare::value!([$least $($unit)?]),
            $crate::declare::range_text!([from $least $($unit)?]),
        )
    };
    ([$least:literal $least_unit:ident to $most:literal $most_unit:ident], $name:expr, $value:expr) => {
        $crate::declare::checks::between(
            $name, $value,
            $crate::declare::value!([$least $least_unit]),
            $crate::declare::value!([$most $most_unit]),
            $crate::declare::range_text!([$least $least_unit to $most $most_unit]),
        )
    };
}

/// The text of a range, for people; empty where anything is allowed or a function decides.
macro_rules! range_text {
    ([time]) => {
        "1 ms to 24 days"
    };
    ([time or zero]) => {
        "0 to 24 days"
    };
    ([size from $least:literal $unit:ident]) => {
        concat!($least, " ", stringify!($unit), " to 2 GiB")
    };
    ([from $least:literal $($unit:ident)?]) => {
        concat!("at least ", $least $(, " ", stringify!($unit))?)
    };
    ([$least:literal $least_unit:ident to $most:literal $most_unit:ident]) => {
        concat!($least, " ", stringify!($least_unit), " to ", $most, " ", stringify!($most_unit))
    };
    ([]) => {
        ""
    };
    ([by $check:path]) => {
        ""
    };
}

/// The last line of a setting's docs.
macro_rules! facts {
    ($default:tt $range:tt [$($java:literal),*] $($inherited:ident)?) => {
        concat!(
            "Default: ", $crate::declare::default_text!($default $($inherited)?), ".",
            $crate::declare::range_facts!($range), $(" Java: `", $java, "`.",)*
        )
    };
}

/// The range in the docs.
macro_rules! range_facts {
    ([]) => {
        ""
    };
    ([by $check:path]) => {
        ""
    };
    ($range:tt) => {
        concat!(" Range: ", $crate::declare::range_text!($range), ".")
    };
}

/// The builder's method of a block, for the table.
macro_rules! builder {
    (only field) => {
        None
    };
    ($how:ident $method:ident) => {
        Some(stringify!($method))
    };
}

pub(crate) use {
    argument, builder, declare, default_text, facts, method, methods, range, range_facts, range_text, text,
    value,
};
