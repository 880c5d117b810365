//! Which server to talk to: profiles, the store that keeps them, and the rules that choose one.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::cli::Globals;
use crate::environment::Environment;

/// What is used when nothing is configured: the embedded server on this machine.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:30803/api";
/// Profiles that are named where another one was asked for.
const NAMED_MAX: usize = 10;
/// File that binds a directory tree to a profile.
pub(crate) const BINDING_FILE: &str = ".knitprofile";

/// One profile, as administrators hand it out and as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// Where the API is.
    #[serde(rename = "apiRoot")]
    pub(crate) api_root: String,
    /// Whom to trust.
    #[serde(default)]
    pub(crate) cert: Cert,
}

/// The only certificate authorities to trust; none means those of the system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cert {
    /// Base64 of PEM text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The root of the API, without a trailing slash.
    pub(crate) root: Url,
    /// The only certificates to trust, in PEM.
    pub(crate) ca_pem: Option<Vec<u8>>,
    /// Whether nobody named it.
    pub(crate) by_default: bool,
}

/// Why no server can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}` is not a file of profiles", path.display())]
    NotYaml {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_yaml_ng::Error,
    },
    /// The profile's name is not in the store.
    #[error("profile `{name}` is not in the profile store `{}`", store.display())]
    Unregistered {
        /// Which name.
        name: String,
        /// Which store.
        store: PathBuf,
        /// The first names that are in it.
        known: Vec<String>,
    },
    /// The address in a profile is none.
    #[error("`{api_root}` is not the address of an API: `apiRoot` must begin with http:// or https://")]
    BadApiRoot {
        /// What is there.
        api_root: String,
    },
    /// The address given by hand is none.
    #[error("`{server}` is not the address of a server")]
    BadServer {
        /// What was given.
        server: String,
    },
    /// The certificate in a profile is none.
    #[error("`cert.ca` of the profile is not the base64 of a PEM certificate")]
    BadCertificate {
        /// Why, if the encoding is wrong.
        source: Option<base64::DecodeError>,
    },
}

impl Profile {
    /// Reads a file that holds one profile.
    pub(crate) fn read(path: &Path) -> Result<Self, ProfileError> {
        let profile: Self = parse(path, &read(path)?)?;
        profile.server()?;
        Ok(profile)
    }

    /// The server it names.
    pub(crate) fn server(&self) -> Result<Server, ProfileError> {
        let bad = || ProfileError::BadApiRoot { api_root: self.api_root.clone() };
        let root = api_root(&self.api_root).ok_or_else(bad)?;
        let ca_pem = self.cert.ca.as_deref().filter(|ca| !ca.is_empty()).map(decode_certificate).transpose()?;
        Ok(Server { root, ca_pem, by_default: false })
    }
}

fn decode_certificate(base64: &str) -> Result<Vec<u8>, ProfileError> {
    let pem = STANDARD.decode(base64.trim()).map_err(|source| ProfileError::BadCertificate { source: Some(source) })?;
    let marker = b"-----BEGIN ";
    if pem.windows(marker.len()).any(|window| window == marker) {
        Ok(pem)
    } else {
        Err(ProfileError::BadCertificate { source: None })
    }
}

/// An absolute http or https address without a trailing slash.
fn api_root(text: &str) -> Option<Url> {
    let url = Url::parse(text.strip_suffix('/').unwrap_or(text)).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Whether `text` could be the address of a server.
pub(crate) fn is_address(text: &str) -> bool {
    api_root(text).is_some()
}

/// Chooses the server. The command line wins over the environment, that over files; with none of
/// them the default server is meant.
pub(crate) fn choose(globals: &Globals, environment: &Environment) -> Result<Server, ProfileError> {
    if let Some(server) = &globals.server {
        return by_hand(server);
    }
    if let (None, Some(server)) = (&globals.profile, &environment.server) {
        return by_hand(server);
    }
    let store_path = store_path(globals, environment);
    let (name, is_named) = profile_name(globals, environment)?;
    let mut profiles = read_store(&store_path)?;
    let profile = profiles.remove(name.as_str()).map(|value| parse_value(&store_path, value));
    match profile.transpose()? {
        Some(profile) => profile.server(),
        None if is_named => {
            let known = profiles.keys().filter_map(|name| name.as_str()).take(NAMED_MAX).map(str::to_owned).collect();
            Err(ProfileError::Unregistered { name, store: store_path, known })
        }
        None => Ok(Server { by_default: true, ..by_hand(DEFAULT_SERVER)? }),
    }
}

/// An address without a path is that of a server, whose API is at `/api`.
fn by_hand(server: &str) -> Result<Server, ProfileError> {
    let bad = || ProfileError::BadServer { server: server.to_owned() };
    let mut root = api_root(server).ok_or_else(bad)?;
    if root.path() == "/" {
        root.set_path("/api");
    }
    Ok(Server { root, ca_pem: None, by_default: false })
}

/// The name of the profile, and whether somebody gave it: by option or by a `.knitprofile`.
pub(crate) fn profile_name(globals: &Globals, environment: &Environment) -> Result<(String, bool), ProfileError> {
    if let Some(name) = &globals.profile {
        return Ok((name.clone(), true));
    }
    match environment.nearest(BINDING_FILE) {
        Some(path) => Ok((read(&path)?.lines().next().unwrap_or_default().trim().to_owned(), true)),
        None => Ok((environment.cwd.display().to_string(), false)),
    }
}

/// Where the store is.
pub(crate) fn store_path(globals: &Globals, environment: &Environment) -> PathBuf {
    let home = environment.home.clone().unwrap_or_default();
    globals.profile_store.clone().unwrap_or_else(|| home.join(".knit/profile"))
}

/// The store: a map from names to profiles, empty if there is no file. Values are kept as they are,
/// so that what another version wrote is not lost when the store is written again.
pub(crate) fn read_store(path: &Path) -> Result<serde_yaml_ng::Mapping, ProfileError> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(serde_yaml_ng::Mapping::new()),
        Ok(text) => parse(path, &text),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(serde_yaml_ng::Mapping::new()),
        Err(source) => Err(ProfileError::Unreadable { path: path.to_owned(), source }),
    }
}

fn read(path: &Path) -> Result<String, ProfileError> {
    std::fs::read_to_string(path).map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T, ProfileError> {
    serde_yaml_ng::from_str(text).map_err(|source| ProfileError::NotYaml { path: path.to_owned(), source })
}

fn parse_value(path: &Path, value: serde_yaml_ng::Value) -> Result<Profile, ProfileError> {
    serde_yaml_ng::from_value(value).map_err(|source| ProfileError::NotYaml { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn environment(&self) -> Environment {
            Environment {
                cwd: self.0.path().to_owned(),
                home: Some(self.0.path().to_owned()),
                ..Environment::default()
            }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[track_caller]
    fn root(globals: &Globals, environment: &Environment) -> String {
        choose(globals, environment).unwrap().root.to_string()
    }

    const STORE: &str = "staging: {apiRoot: http://staging.example/api/, cert: {}}\nharbor: {apiRoot: https://h/api}\n";

    #[test]
    fn without_any_configuration_the_default_server_is_meant() {
        let server = choose(&Globals::default(), &Place::new().environment()).unwrap();
        assert_eq!((server.root.as_str(), server.by_default), (DEFAULT_SERVER, true));
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_files() {
        let place = Place::new();
        place.write(".knit/profile", STORE);
        place.write(".knitprofile", "staging\nonly the first line counts\n");
        let mut environment = place.environment();
        let mut globals = Globals::default();
        assert_eq!(root(&globals, &environment), "http://staging.example/api");
        environment.server = Some("http://10.0.0.1:1".to_owned());
        assert_eq!(root(&globals, &environment), "http://10.0.0.1:1/api");
        globals.profile = Some("harbor".to_owned());
        assert_eq!(root(&globals, &environment), "https://h/api");
        globals.server = Some("http://10.0.0.2/knit/api/".to_owned());
        assert_eq!(root(&globals, &environment), "http://10.0.0.2/knit/api");
    }

    #[test]
    fn a_profile_that_was_named_must_be_registered() {
        let place = Place::new();
        place.write(".knit/profile", STORE);
        let named = Globals { profile: Some("nobody".to_owned()), ..Globals::default() };
        assert!(matches!(choose(&named, &place.environment()), Err(ProfileError::Unregistered { .. })));
        place.write(".knitprofile", "");
        let bound = choose(&Globals::default(), &place.environment());
        assert!(matches!(bound, Err(ProfileError::Unregistered { name, .. }) if name.is_empty()));
    }

    #[test]
    fn the_directory_itself_may_be_the_name_of_a_profile() {
        let place = Place::new();
        place.write(".knit/profile", &format!("{}: {{apiRoot: http://here/api}}\n", place.0.path().display()));
        assert_eq!(root(&Globals::default(), &place.environment()), "http://here/api");
    }

    #[test]
    fn a_profile_must_name_a_web_address_and_a_real_certificate() {
        let profile = |api_root: &str, ca: Option<&str>| {
            Profile { api_root: api_root.to_owned(), cert: Cert { ca: ca.map(str::to_owned) } }.server()
        };
        for bad in ["mailto:x", "example.com/api", "ftp://h/api", ""] {
            assert!(matches!(profile(bad, None), Err(ProfileError::BadApiRoot { .. })), "{bad}");
        }
        for bad in ["%%%", "bm90IGEgY2VydGlmaWNhdGU="] {
            assert!(matches!(profile("https://h/api", Some(bad)), Err(ProfileError::BadCertificate { .. })), "{bad}");
        }
        let pem = STANDARD.encode("-----BEGIN CERTIFICATE-----\n");
        assert!(profile("https://h/api", Some(&pem)).unwrap().ca_pem.is_some());
    }
}
