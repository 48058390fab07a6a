//! One error of one field, in the apiserver's words.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::go_quoted::Quoted;
use crate::version::{Change, FeatureGates};

use super::names;

/// What is wrong with a field (`field.ErrorType` of apimachinery).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorType {
    /// A value refers to something that does not exist.
    NotFound,
    /// A value that must be given is not.
    Required,
    /// A value that must be unique is not.
    Duplicate,
    /// A value breaks a rule.
    Invalid,
    /// A value is none of those that are known.
    NotSupported,
    /// The field may not be set, or not be changed.
    Forbidden,
    /// A list has more items than it may have.
    TooMany,
    /// A text has more bytes than it may have.
    TooLong,
    /// The apiserver could not find out.
    InternalError,
}

impl ErrorType {
    /// The name by which the API reports it, as `reason` of a cause: `FieldValueInvalid`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooMany => "FieldValueTooMany",
            Self::TooLong => "FieldValueTooLong",
            Self::InternalError => "InternalError",
        }
    }

    /// The words with which a message begins.
    const fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooMany => "Too many",
            Self::TooLong => "Too long",
            Self::InternalError => "Internal error",
        }
    }
}

/// The value that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadValue {
    /// There is no value to show: it is missing, or its presence is the error.
    None,
    /// The value was taken away where it may not be.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(i64),
    /// Text, shown in quotes as Go quotes it.
    Text(String),
    /// A word of a type of its own, such as a restart policy or a resource's name: shown as JSON.
    Word(String),
    /// Something composed, as JSON.
    Json(String),
}

impl BadValue {
    pub(super) fn word(text: &str) -> Self {
        Self::Word(text.to_owned())
    }
}

impl From<i64> for BadValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for BadValue {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for BadValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for BadValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One error of one field (`field.Error` of apimachinery).
///
/// Prints as `kubectl apply` shows it:
///
/// ```
/// use podinit::validation::{BadValue, ErrorType, FieldError};
///
/// let error = FieldError {
///     error_type: ErrorType::Invalid,
///     field: "spec.activeDeadlineSeconds".to_owned(),
///     bad_value: BadValue::Number(0),
///     detail: "must be between 1 and 2147483647, inclusive".into(),
/// };
/// assert_eq!(
///     error.to_string(),
///     "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "made by callers, too")]
pub struct FieldError {
    /// What is wrong.
    pub error_type: ErrorType,
    /// The field's path, such as `spec.initContainers[0].name`.
    pub field: String,
    /// The value that was refused.
    pub bad_value: BadValue,
    /// The rule in words; empty where the type says all.
    pub detail: Cow<'static, str>,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.error_type.words())?;
        match &self.bad_value {
            BadValue::None => {}
            BadValue::Null => f.write_str(": null")?,
            BadValue::Bool(value) => write!(f, ": {value}")?,
            BadValue::Number(number) => write!(f, ": {number}")?,
            BadValue::Text(text) => {
                f.write_str(": ")?;
                Quoted(text).fmt(f)?;
            }
            BadValue::Word(text) => {
                f.write_str(": ")?;
                write_as_go(&serde_json::to_string(text).map_err(|_| fmt::Error)?, f)?;
            }
            BadValue::Json(json) => {
                f.write_str(": ")?;
                write_as_go(json, f)?;
            }
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// JSON with the characters escaped that Go's `json.Marshal` escapes in texts; JSON has them nowhere
/// else.
fn write_as_go(json: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

/// Every error of a pod, in the order in which the apiserver finds them. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ValidationErrors(Vec<FieldError>);

impl ValidationErrors {
    /// The errors.
    pub fn errors(&self) -> &[FieldError] {
        &self.0
    }
}

impl IntoIterator for ValidationErrors {
    type Item = FieldError;
    type IntoIter = vec::IntoIter<FieldError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ValidationErrors {
    type Item = &'a FieldError;
    type IntoIter = core::slice::Iter<'a, FieldError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for ValidationErrors {
    /// One error as it is, several in brackets with commas (`field.ErrorList.ToAggregate`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [error] = self.0.as_slice() {
            return error.fmt(f);
        }
        f.write_char('[')?;
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            error.fmt(f)?;
        }
        f.write_char(']')
    }
}

/// A field's path, as a chain towards the root: paths are written out only where there is an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// The outermost name.
    Root(&'static str),
    /// A field of an object.
    Child(&'a Self, &'static str),
    /// A field that has the name of something.
    Name(&'a Self, &'a str),
    /// An item of a list.
    Index(&'a Self, usize),
    /// An entry of a map.
    Key(&'a Self, &'a str),
}

impl<'a> Path<'a> {
    pub(super) const fn child(&'a self, name: &'static str) -> Self {
        Self::Child(self, name)
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Child(parent, name) => write!(f, "{parent}.{name}"),
            Self::Name(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

/// Collects errors; the constructors of apimachinery's `field` package.
#[derive(Debug)]
pub(super) struct Errors {
    found: Vec<FieldError>,
    /// By whose words.
    gates: FeatureGates,
}

impl Errors {
    pub(super) const fn new(gates: FeatureGates) -> Self {
        Self { found: Vec::new(), gates }
    }

    pub(super) const fn gates(&self) -> FeatureGates {
        self.gates
    }

    fn push(
        &mut self,
        error_type: ErrorType,
        path: &Path<'_>,
        bad_value: BadValue,
        detail: Cow<'static, str>,
    ) {
        self.found.push(FieldError { error_type, field: format!("{path}"), bad_value, detail });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Every breach of one value.
    pub(super) fn breaches(&mut self, path: &Path<'_>, value: &str, breaches: names::Breaches) {
        for breach in breaches {
            self.invalid(path, value, breach);
        }
    }

    /// Every breach of one number.
    pub(super) fn number(&mut self, path: &Path<'_>, value: i64, breaches: names::Breaches) {
        for breach in breaches {
            self.invalid(path, value, breach);
        }
    }

    pub(super) fn not_negative(&mut self, path: &Path<'_>, value: impl Into<i64>) {
        let value = value.into();
        if value < 0 {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    pub(super) fn too_long(&mut self, path: &Path<'_>, limit: usize) {
        let detail = format!("may not be more than {limit} bytes");
        self.push(ErrorType::TooLong, path, BadValue::None, detail.into());
    }

    pub(super) fn not_found_among(
        &mut self,
        path: &Path<'_>,
        value: &str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.push(ErrorType::NotFound, path, value.into(), detail.into());
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.found.append(&mut other.found);
    }

    pub(super) fn required(&mut self, path: &Path<'_>, detail: impl Into<Cow<'static, str>>) {
        self.push(ErrorType::Required, path, BadValue::None, detail.into());
    }

    pub(super) fn forbidden(&mut self, path: &Path<'_>, detail: impl Into<Cow<'static, str>>) {
        self.push(ErrorType::Forbidden, path, BadValue::None, detail.into());
    }

    pub(super) fn invalid(
        &mut self,
        path: &Path<'_>,
        value: impl Into<BadValue>,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.push(ErrorType::Invalid, path, value.into(), detail.into());
    }

    pub(super) fn duplicate(&mut self, path: &Path<'_>, value: impl Into<BadValue>) {
        self.push(ErrorType::Duplicate, path, value.into(), Cow::Borrowed(""));
    }

    pub(super) fn not_found(&mut self, path: &Path<'_>, value: impl Into<BadValue>) {
        self.push(ErrorType::NotFound, path, value.into(), Cow::Borrowed(""));
    }

    /// A word of a type of its own; `supported` in the order in which the apiserver lists them.
    pub(super) fn not_supported(&mut self, path: &Path<'_>, value: &str, supported: &[&str]) {
        self.not_supported_value(path, BadValue::word(value), supported);
    }

    pub(super) fn not_supported_value(
        &mut self,
        path: &Path<'_>,
        value: BadValue,
        supported: &[&str],
    ) {
        let mut detail = String::from("supported values: ");
        for (index, value) in supported.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(detail, "{comma}\"{value}\"");
        }
        self.push(ErrorType::NotSupported, path, value, detail.into());
    }

    pub(super) fn internal(&mut self, path: &Path<'_>, detail: String) {
        self.push(ErrorType::InternalError, path, BadValue::None, detail.into());
    }

    /// Tells the errors of an update: since 1.37 each of them once.
    pub(super) fn of_update(mut self) -> Result<(), ValidationErrors> {
        if self.gates.has(Change::UpdateErrorsAreToldOnce) {
            let mut seen = BTreeSet::new();
            self.found.retain(|error| seen.insert(error.to_string()));
        }
        self.into_result()
    }

    pub(super) fn too_many(&mut self, path: &Path<'_>, count: usize, limit: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let detail = format!("must have at most {limit} items");
        self.push(ErrorType::TooMany, path, count.into(), detail.into());
    }

    pub(super) fn into_result(self) -> Result<(), ValidationErrors> {
        if self.found.is_empty() { Ok(()) } else { Err(ValidationErrors(self.found)) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn messages(fill: impl FnOnce(&mut Errors)) -> Vec<String> {
        let mut errors = Errors::new(FeatureGates::default());
        fill(&mut errors);
        errors.found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_type_is_worded_as_apimachinery_words_it() {
        let root = Path::Root("spec");
        let list = root.child("containers");
        let item = list.index(2);
        let map = item.child("requests");
        let shown = messages(|errors| {
            errors.required(&item.child("name"), "");
            errors.required(&item.child("restartPolicy"), "must be specified");
            errors.forbidden(&item.child("lifecycle"), "may not be set");
            errors.invalid(&map.key("cpu"), "-1", "must be greater than or equal to 0");
            errors.invalid(&item.child("port"), 70_000, "must be lower");
            errors.duplicate(&item.child("name"), "web");
            errors.not_found(&item.child("target"), "web");
            errors.not_supported(&item.child("action"), "Ignore", &["Restart", "Other"]);
            errors.too_many(&item.child("values"), 256, 255);
        });
        assert_eq!(
            shown,
            [
                "spec.containers[2].name: Required value",
                "spec.containers[2].restartPolicy: Required value: must be specified",
                "spec.containers[2].lifecycle: Forbidden: may not be set",
                "spec.containers[2].requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                "spec.containers[2].port: Invalid value: 70000: must be lower",
                "spec.containers[2].name: Duplicate value: \"web\"",
                "spec.containers[2].target: Not found: \"web\"",
                "spec.containers[2].action: Unsupported value: \"Ignore\": supported values: \"Restart\", \"Other\"",
                "spec.containers[2].values: Too many: 256: must have at most 255 items",
            ]
        );
    }

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        let root = Path::Root("x");
        let shown = messages(|errors| errors.invalid(&root, "a\"\\\n\u{1}\u{85}é", ""));
        assert_eq!(shown, ["x: Invalid value: \"a\\\"\\\\\\n\\x01\\u0085é\""]);
    }

    #[test]
    fn several_errors_are_shown_in_brackets() {
        let mut errors = Errors::new(FeatureGates::default());
        errors.required(&Path::Root("a"), "");
        errors.required(&Path::Root("b"), "");
        let errors = errors.into_result().unwrap_err();
        assert_eq!(errors.to_string(), "[a: Required value, b: Required value]");
    }
}
