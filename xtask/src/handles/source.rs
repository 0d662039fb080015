//! The public methods of kafka-core's handles, as its sources have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, File, FnArg, Ident, ImplItem, ImplItemFn, Item, ItemImpl, Pat, PatIdent, Receiver,
    ReceiverKind, Signature, Type, UseTree, Visibility,
};
use xtask::generated::{Result, root};

/// What every module knows without a `use`.
const PRELUDE: [&str; 12] = [
    "AsRef",
    "Box",
    "From",
    "Into",
    "IntoIterator",
    "Iterator",
    "Option",
    "Self",
    "Send",
    "String",
    "Sync",
    "Vec",
];

const PRIMITIVES: [&str; 12] =
    ["bool", "f64", "i16", "i32", "i64", "i8", "str", "u16", "u32", "u64", "u8", "usize"];

/// In the signature of what is polled, or gives something to be polled.
const POLLED: [&str; 6] = ["Context", "Future", "Pin", "Poll", "Sink", "Stream"];

/// What was understood, or why it was not: the end of a sentence that begins with the method.
type Understood<T> = std::result::Result<T, String>;

/// Parsed files, and the names at the root of kafka-core.
pub(super) struct Source {
    files: Vec<(String, File)>,
    at_root: BTreeSet<String>,
}

impl Source {
    /// Reads the files of kafka-core that have handles.
    pub(super) fn of_core() -> Result<Self> {
        let core = root().join("kafka-core/src");
        let mut paths = files_in(&core.join("rt"))?;
        paths.push(core.join("writer/batch.rs"));
        let mut files = Vec::new();
        for path in paths {
            let name = path.strip_prefix(&core)?.display().to_string();
            files.push((name, fs::read_to_string(&path)?));
        }
        Self::parse(&files, &fs::read_to_string(core.join("lib.rs"))?)
    }

    /// Parses files, each with its name, and the root of their package.
    pub(super) fn parse(files: &[(String, String)], at_root: &str) -> Result<Self> {
        let parse = |(name, text): &(String, String)| match syn::parse_file(text) {
            Ok(file) => Ok((name.clone(), file)),
            Err(error) => Err(format!("{name}: {error}")),
        };
        let files = files.iter().map(parse).collect::<std::result::Result<_, _>>()?;
        let at_root = uses(&syn::parse_file(at_root)?).into_keys().collect();
        Ok(Self { files, at_root })
    }

    /// Returns the names of a handle's public methods, first those beside its definition, and what each is or why it is not
    /// understood.
    pub(super) fn methods(&self, handle: &str) -> Vec<(String, Result<Method>)> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(_, file)| !defines(file, handle));
        let mut methods = Vec::new();
        for (file_name, file) in files {
            let uses = uses(file);
            let impls = file.items.iter().filter_map(|item| inherent(item, handle));
            for item in impls.flat_map(|block| &block.items).filter(|item| is_public(item)) {
                let (name, method) = (name_of(item), self.method(item, &uses));
                let place = |what| format!("{file_name}: `{handle}::{name}` {what}").into();
                methods.push((name.clone(), method.map_err(place)));
            }
        }
        methods
    }

    fn method(&self, item: &ImplItem, uses: &Uses) -> Understood<Method> {
        match item {
            ImplItem::Fn(function) => self.read(function, uses),
            _ => Err("is no method, so nothing is known of it".into()),
        }
    }

    fn read(&self, function: &ImplItemFn, uses: &Uses) -> Understood<Method> {
        let mut signature = function.sig.clone();
        ForCallers.visit_signature_mut(&mut signature);
        if !is_plain(&signature) {
            return Err("is not a plain method of `self`".into());
        }
        let mut names = Names::default();
        names.visit_signature(&signature);
        if let Some(polled) = names.0.iter().find(|name| POLLED.contains(&name.as_str())) {
            return Err(format!(
                "names `{polled}`: put it into `LEFT_OUT` of xtask/src/handles, with the reason"
            ));
        }
        let mut imports = BTreeSet::new();
        for name in names.0 {
            imports.extend(self.import(&name, uses, &signature)?);
        }
        Ok(Method { attributes: function.attrs.clone(), signature, imports })
    }

    /// Returns the path by which everybody can name a type; `None` where it needs none.
    fn import(&self, name: &str, uses: &Uses, signature: &Signature) -> Understood<Option<String>> {
        let is_parameter = signature.generics.type_params().any(|parameter| parameter.ident == name);
        if is_parameter || PRELUDE.contains(&name) || PRIMITIVES.contains(&name) {
            return Ok(None);
        }
        if self.at_root.contains(name) {
            return Ok(Some(format!("kafka_core::{name}")));
        }
        match uses.get(name) {
            Some(path) if path.starts_with("std::") => Ok(Some(path.clone())),
            _ => Err(format!("names `{name}`, which is not at the root of kafka-core")),
        }
    }
}

/// A public method of a handle.
#[derive(Clone)]
pub(super) struct Method {
    pub(super) attributes: Vec<Attribute>,
    pub(super) signature: Signature,
    /// The paths of the types that the signature names.
    pub(super) imports: BTreeSet<String>,
}

impl Method {
    pub(super) fn name(&self) -> String {
        self.signature.ident.to_string()
    }

    /// Returns the names of its arguments.
    pub(super) fn arguments(&self) -> Understood<Vec<&Ident>> {
        let typed = self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(argument) => Some(&*argument.pat),
            FnArg::Receiver(_) => None,
        });
        typed.map(argument_name).collect()
    }
}

fn argument_name(pattern: &Pat) -> Understood<&Ident> {
    match pattern {
        Pat::Ident(name) if name.subpat.is_none() => Ok(&name.ident),
        other => Err(format!("has the argument `{}`, which is no name", other.to_token_stream())),
    }
}

/// Where the names of a file come from.
type Uses = BTreeMap<String, String>;

fn uses(file: &File) -> Uses {
    let mut names = Uses::new();
    for item in &file.items {
        if let Item::Use(item) = item {
            add_uses(&item.tree, "", &mut names);
        }
    }
    names
}

fn add_uses(tree: &UseTree, path: &str, names: &mut Uses) {
    match tree {
        UseTree::Path(part) => add_uses(&part.tree, &format!("{path}{}::", part.ident), names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| add_uses(tree, path, names)),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string(), format!("{path}{}", name.ident))),
        // Renamed or unnamed: others cannot name it so.
        _ => {}
    }
}

fn defines(file: &File, handle: &str) -> bool {
    file.items.iter().any(|item| matches!(item, Item::Struct(defined) if defined.ident == handle))
}

/// Returns the block of a handle's own methods, if that is what it is.
fn inherent<'a>(item: &'a Item, handle: &str) -> Option<&'a ItemImpl> {
    let Item::Impl(block) = item else { return None };
    let Type::Path(of) = &*block.self_ty else { return None };
    (block.trait_.is_none() && of.path.segments.last()?.ident == handle).then_some(block)
}

fn name_of(item: &ImplItem) -> String {
    match item {
        ImplItem::Fn(function) => function.sig.ident.to_string(),
        ImplItem::Const(constant) => constant.ident.to_string(),
        other => other.to_token_stream().to_string(),
    }
}

fn is_plain(signature: &Signature) -> bool {
    let receiver = signature.receiver();
    let is_typed = receiver.is_none_or(|receiver| matches!(receiver.kind, ReceiverKind::Typed(..)));
    !is_typed && signature.constness.is_none() && signature.abi.is_none()
}

/// Returns whether others can see an item; what a macro makes can be anything.
fn is_public(item: &ImplItem) -> bool {
    match item {
        ImplItem::Fn(function) => matches!(function.vis, Visibility::Public(_)),
        ImplItem::Const(constant) => matches!(constant.vis, Visibility::Public(_)),
        _ => true,
    }
}

/// Makes `Error` of `crate::Error`, and takes off what matters inside of a method only: `mut`.
struct ForCallers;

impl VisitMut for ForCallers {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        if path.segments.first().is_some_and(|first| first.ident == "crate")
            && let Some(last) = path.segments.last().cloned()
        {
            *path = last.into();
        }
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_pat_ident_mut(&mut self, argument: &mut PatIdent) {
        argument.mutability = None;
    }

    fn visit_receiver_mut(&mut self, receiver: &mut Receiver) {
        receiver.mutability = None;
    }
}

/// The names at the beginning of all paths.
#[derive(Default)]
pub(super) struct Names(pub(super) BTreeSet<String>);

impl<'a> Visit<'a> for Names {
    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.extend(path.segments.first().map(|first| first.ident.to_string()));
        visit::visit_path(self, path);
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
