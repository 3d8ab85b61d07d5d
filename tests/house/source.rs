//! A crate's modules as its files declare them, and which file names what from which other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// One file of a crate.
#[derive(Debug, Default)]
struct Module {
    lines: usize,
    children: BTreeSet<String>,
    /// Name in this module, and the path it stands for.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths written in this file, absolute in the crate.
    named: BTreeSet<Vec<String>>,
}

/// A crate read from its sources; what is compiled for tests alone is left out.
#[derive(Debug)]
pub struct Crate {
    pub name: String,
    /// By module path; the empty path is the root.
    modules: BTreeMap<Vec<String>, Module>,
}

impl Crate {
    /// Reads the crate in `folder`, following `mod` from its root file.
    pub fn read(folder: &Path) -> Self {
        let name = folder.file_name().expect("a crate's folder").to_string_lossy().into_owned();
        let root = ["lib.rs", "main.rs"].map(|root| folder.join("src").join(root));
        let root = root.into_iter().find(|root| root.is_file()).expect("src/lib.rs or src/main.rs");
        let mut modules = BTreeMap::new();
        read_module(&root, &folder.join("src"), Vec::new(), &mut modules);
        Self { name, modules }
    }

    /// How many lines its files have, those of unit tests beside the code included.
    pub fn lines(&self) -> usize {
        self.modules.values().map(|module| module.lines).sum()
    }

    /// How many files it has.
    pub fn files(&self) -> usize {
        self.modules.len()
    }

    /// Every arrow from a module to one whose words it uses, re-exports followed to where a word is
    /// defined. The root, which only gathers, has none.
    pub fn arrows(&self) -> BTreeSet<(String, String)> {
        let mut arrows = BTreeSet::new();
        for (path, module) in self.modules.iter().filter(|(path, _)| !path.is_empty()) {
            for named in &module.named {
                let target = self.home(named, 0);
                if target != *path && !target.is_empty() {
                    arrows.insert((path.join("::"), target.join("::")));
                }
            }
        }
        arrows
    }

    /// The module that defines what `path` names.
    fn home(&self, path: &[String], depth: usize) -> Vec<String> {
        let known = (0..=path.len()).rev().find(|&n| self.modules.contains_key(&path[..n]));
        let known = known.expect("the root is always there");
        let (module, rest) = path.split_at(known);
        match rest.first().and_then(|name| self.modules[module].imports.get(name)) {
            // The bound only matters to sources that do not compile.
            Some(import) if depth < 32 => {
                let further: Vec<String> = import.iter().chain(&rest[1..]).cloned().collect();
                self.home(&further, depth + 1)
            }
            _ => module.to_vec(),
        }
    }
}

fn read_module(
    file: &Path,
    folder: &Path,
    path: Vec<String>,
    modules: &mut BTreeMap<Vec<String>, Module>,
) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let module = Module { lines: text.lines().count(), ..Module::default() };
    let mut reader = Reader { path: path.clone(), module };
    for item in &parsed.items {
        let syn::Item::Mod(child) = item else { continue };
        if child.content.is_none() && !only_for_tests(&child.attrs) {
            reader.module.children.insert(child.ident.to_string());
        }
    }
    reader.visit_file(&parsed);
    let children = reader.module.children.clone();
    modules.insert(path.clone(), reader.module);
    for child in children {
        let plain = folder.join(format!("{child}.rs"));
        let inside = folder.join(&child);
        let file = if plain.is_file() { plain } else { inside.join("mod.rs") };
        read_module(&file, &inside, [path.clone(), vec![child]].concat(), modules);
    }
}

fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

/// Walks one file.
struct Reader {
    path: Vec<String>,
    module: Module,
}

impl Reader {
    /// `segments` from the crate's root, where they begin in this crate.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut base = self.path.clone();
        let mut rest = segments;
        match segments.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first if self.module.children.contains(first) => {}
            _ => return None,
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn name(&mut self, segments: &[String]) {
        if let Some(path) = self.absolute(segments) {
            self.module.named.insert(path);
        }
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], re_exported: bool) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.import(&path.tree, &with(&path.ident), re_exported),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before, re_exported));
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.imported(before, before.last().cloned(), re_exported);
            }
            syn::UseTree::Name(name) => {
                self.imported(&with(&name.ident), Some(name.ident.to_string()), re_exported);
            }
            syn::UseTree::Rename(rename) => {
                let to = rename.rename.to_string();
                self.imported(&with(&rename.ident), Some(to), re_exported);
            }
            syn::UseTree::Glob(_) => self.imported(before, None, re_exported),
        }
    }

    fn imported(&mut self, segments: &[String], to: Option<String>, re_exported: bool) {
        let Some(path) = self.absolute(segments) else { return };
        // Handing a child's word on is not using it.
        if !re_exported {
            self.module.named.insert(path.clone());
        }
        self.module.imports.extend(to.map(|to| (to, path)));
    }

    /// Paths inside a macro's arguments.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 || segments.is_empty() => {
                    segments.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !segments.is_empty() => {
                    colons += 1;
                }
                other => {
                    self.name(&std::mem::take(&mut segments));
                    colons = 0;
                    match other {
                        TokenTree::Ident(ident) => segments.push(ident.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.name(&segments);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !only_for_tests(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let re_exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &[], re_exported);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.name(&segments);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.visit_path(&invoked.path);
        self.tokens(invoked.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}
