//! What a container of a manifest runs: command, arguments, environment.

use k8s_openapi::api::core::v1;

/// What a container runs, with `$(NAME)` expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// `command`; empty: that of the image.
    pub command: Vec<String>,
    /// `args`.
    pub args: Vec<String>,
    /// `env`, and before it what the caller adds.
    pub env: Vec<(String, String)>,
    /// `workingDir`.
    pub working_dir: Option<String>,
}

impl Command {
    /// What `container` runs, with `env` before its own environment.
    ///
    /// # Errors
    /// If the environment asks for something that there is not here.
    pub fn new(
        pod: &v1::Pod,
        container: &v1::Container,
        mut env: Vec<(String, String)>,
    ) -> Result<Self, String> {
        if container.env_from.as_ref().is_some_and(|sources| !sources.is_empty()) {
            return Err("envFrom: there are no config maps and secrets here".to_owned());
        }
        for variable in container.env.iter().flatten() {
            let value = match &variable.value_from {
                None => expand(variable.value.as_deref().unwrap_or_default(), &env),
                Some(source) => field(pod, source)
                    .ok_or_else(|| format!("env {}: valueFrom has no value here", variable.name))?,
            };
            env.push((variable.name.clone(), value));
        }
        let expand_all = |texts: &Option<Vec<String>>| {
            texts.iter().flatten().map(|text| expand(text, &env)).collect()
        };
        Ok(Self {
            command: expand_all(&container.command),
            args: expand_all(&container.args),
            working_dir: container.working_dir.clone().filter(|folder| !folder.is_empty()),
            env,
        })
    }
}

/// The fields of the downward API that are known before the pod runs.
fn field(pod: &v1::Pod, source: &v1::EnvVarSource) -> Option<String> {
    match source.field_ref.as_ref()?.field_path.as_str() {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => pod.metadata.namespace.clone().or(Some("default".to_owned())),
        "metadata.uid" => pod.metadata.uid.clone(),
        _ => None,
    }
}

/// Replaces `$(NAME)` by the last variable of this name; `$$` is a dollar sign, and whatever is no
/// reference to a variable that exists stays as it is (`expansion.Expand`).
fn expand(text: &str, env: &[(String, String)]) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = behind;
        if let Some(behind) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = behind;
        } else if let Some((name, behind)) =
            rest.strip_prefix('(').and_then(|name| name.split_once(')'))
            && let Some((_, value)) = env.iter().rev().find(|(known, _)| known == name)
        {
            expanded.push_str(value);
            rest = behind;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_and_everything_else_stays() {
        let env = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        let expanded = |text| expand(text, &env);
        assert_eq!(expanded("a$(A)b$(A)"), "a1b1");
        assert_eq!(expanded("$(B)"), "$(A)", "once");
        assert_eq!(expanded("$$(A) $(NONE) $A $( $"), "$(A) $(NONE) $A $( $");
    }

    #[test]
    fn variables_see_those_before_them() {
        let container = serde_json::from_value(serde_json::json!({
            "name": "a", "args": ["$(GREETING)"],
            "env": [{"name": "GREETING", "value": "hello $(WHO)"}],
        }))
        .unwrap();
        let env = vec![("WHO".to_owned(), "you".to_owned())];
        let command = Command::new(&v1::Pod::default(), &container, env).unwrap();
        assert_eq!(command.args, ["hello you"]);
    }
}
