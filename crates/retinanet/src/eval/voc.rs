//! Pascal VOC's XML files as annotations.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node, ParsingOptions};

use super::folder::{files_ending, read_small};
use super::{Annotation, CocoCategory, CocoImage, EvalError, GroundTruth};
use crate::Result;
use crate::error::VocProblem;

/// The most elements of one file.
const MAX_NODES: u32 = 1_000_000;
/// How much of a value an error repeats, in characters.
const MAX_ECHO: usize = 40;

/// What Pascal VOC's coordinates call the first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VocOrigin {
    /// 0, and xmax and ymax are edges: what several newer tools write into files of this form.
    Zero,
    /// 1, and xmax and ymax are the last pixels inside: Pascal VOC's own.
    #[default]
    One,
}

/// One file.
struct File {
    image: CocoImage,
    objects: Vec<Object>,
}

struct Object {
    name: String,
    bbox: [f64; 4],
    difficult: bool,
}

impl GroundTruth {
    /// Reads Pascal VOC's files: every `.xml` in `folder` and the folders below is one image, named by `<filename>` in
    /// the file's own folder.
    ///
    /// Images get the ids from 1 in byte order of their files, the classes (those that occur) from 1 in byte order of
    /// their names, annotations from 1. The pixels 1 to 10 of [`VocOrigin::One`] are the box from 0 to 10.
    ///
    /// A `difficult` object becomes a crowd (`iscrowd` 1): neither found nor missed, whatever covers it. That is how
    /// such files are usually turned into COCO's, and the scores are those of that COCO file.
    ///
    /// A document type (`<!DOCTYPE`) is refused, and with it every entity that a file may define.
    ///
    /// # Errors
    /// [`EvalError::Voc`], naming file and line: no such XML, elements missing or twice, a missing size, boxes outside
    /// the image, two files of one image; [`EvalError::NoAnnotations`] for a folder without such files.
    pub fn from_voc(folder: &Path, origin: VocOrigin) -> Result<Self> {
        let paths = files_ending(folder, "xml")?;
        if paths.is_empty() {
            let (what, next) =
                ("Pascal VOC file (.xml)".to_owned(), "give the folder `Annotations`");
            return Err(EvalError::NoAnnotations { folder: folder.to_owned(), what, next }.into());
        }
        let mut files = Vec::with_capacity(paths.len());
        let mut seen: HashMap<String, PathBuf> = HashMap::new();
        for (relative, id) in paths.iter().zip(1..) {
            let path = folder.join(relative);
            let refuse = |(line, problem)| EvalError::Voc { path: path.clone(), line, problem };
            let bytes = read_small(&path)?;
            let file = parse(&bytes, relative, id, origin).map_err(refuse)?;
            let file_name = file.image.file_name.clone();
            if let Some(other) = seen.insert(file_name.clone(), path.clone()) {
                return Err(refuse((1, VocProblem::Twice { file_name, other })).into());
            }
            files.push(file);
        }
        let names: BTreeSet<&str> = files
            .iter()
            .flat_map(|file| &file.objects)
            .map(|object| object.name.as_str())
            .collect();
        let ids: HashMap<&str, i64> = names.iter().copied().zip(1..).collect();
        let mut annotations = Vec::new();
        for File { image, objects } in &files {
            for Object { name, bbox, difficult } in objects {
                annotations.push(Annotation {
                    id: annotations.len() as i64 + 1,
                    image_id: image.id,
                    category_id: ids[name.as_str()],
                    bbox: *bbox,
                    area: bbox[2] * bbox[3],
                    iscrowd: *difficult,
                });
            }
        }
        let categories = names.iter().zip(1..);
        let categories =
            categories.map(|(name, id)| CocoCategory { id, name: (*name).to_owned() }).collect();
        let images = files.into_iter().map(|file| file.image).collect();
        Self::from_parts(images, categories, annotations, &folder.to_string_lossy())
    }
}

/// A problem and its line.
type Problem = (usize, VocProblem);

fn parse(bytes: &[u8], relative: &Path, id: i64, origin: VocOrigin) -> Result<File, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        (line, VocProblem::Xml { reason: "it is not UTF-8 text".to_owned() })
    })?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..Default::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let reason = error.to_string().escape_debug().to_string();
        (error.pos().row as usize, VocProblem::Xml { reason })
    })?;
    let file = Reader { document: &document };
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        let found = echo(root.tag_name().name());
        return Err(file.at(root, VocProblem::Root { found }));
    }
    let size = file.child(root, "annotation", "size")?;
    let side = |element| {
        let node = file.child(size, "size", element)?;
        let side = text_of(node).parse::<u64>().ok().filter(|side| (1..=1 << 32).contains(side));
        side.ok_or_else(|| file.value(node, element, "a whole number of pixels from 1"))
    };
    let (width, height) = (side("width")?, side("height")?);
    let node = file.child(root, "annotation", "filename")?;
    let name = text_of(node);
    let plain =
        !name.is_empty() && ![".", ".."].contains(&name) && !name.contains(['/', '\\', '\0']);
    if !plain {
        return Err(file.value(node, "filename", "the name of a file, without folders"));
    }
    let file_name = relative.with_file_name(name).to_string_lossy().replace('\\', "/");
    let image = CocoImage { id, file_name, width: Some(width), height: Some(height) };
    let objects = root.children().filter(|node| node.has_tag_name("object"));
    let objects = objects.map(|node| file.object(node, [width, height], origin));
    Ok(File { image, objects: objects.collect::<Result<_, _>>()? })
}

struct Reader<'a, 'b> {
    document: &'b Document<'a>,
}

impl<'a, 'b> Reader<'a, 'b> {
    fn at(&self, node: Node<'b, 'a>, problem: VocProblem) -> Problem {
        (self.document.text_pos_at(node.range().start).row as usize, problem)
    }

    fn value(&self, node: Node<'b, 'a>, element: &'static str, needs: &'static str) -> Problem {
        self.at(node, VocProblem::Value { element, value: echo(text_of(node)), needs })
    }

    /// The one child of this name.
    fn child(
        &self,
        node: Node<'b, 'a>,
        parent: &'static str,
        element: &'static str,
    ) -> Result<Node<'b, 'a>, Problem> {
        let mut named = node.children().filter(|child| child.has_tag_name(element));
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(self.at(node, VocProblem::Missing { parent, element })),
            (Some(_), Some(second)) => {
                Err(self.at(second, VocProblem::Repeated { parent, element }))
            }
        }
    }

    fn object(
        &self,
        node: Node<'b, 'a>,
        [width, height]: [u64; 2],
        origin: VocOrigin,
    ) -> Result<Object, Problem> {
        let name = self.child(node, "object", "name")?;
        if text_of(name).is_empty() {
            return Err(self.value(name, "name", "the name of a class"));
        }
        let difficult = match node.children().any(|child| child.has_tag_name("difficult")) {
            false => false,
            true => {
                let flag = self.child(node, "object", "difficult")?;
                match text_of(flag) {
                    "0" => false,
                    "1" => true,
                    _ => return Err(self.value(flag, "difficult", "0 or 1")),
                }
            }
        };
        let bounds = self.child(node, "object", "bndbox")?;
        let corner = |element| {
            let node = self.child(bounds, "bndbox", element)?;
            let number = text_of(node).parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| self.value(node, element, "a number of pixels"))
        };
        let corners = [corner("xmin")?, corner("ymin")?, corner("xmax")?, corner("ymax")?];
        let [xmin, ymin, xmax, ymax] = corners;
        let first = match origin {
            VocOrigin::Zero => 0.0,
            VocOrigin::One => 1.0,
        };
        let inside =
            |from: f64, to: f64, side: u64| first <= from && from <= to && to <= side as f64;
        if !(inside(xmin, xmax, width) && inside(ymin, ymax, height)) {
            let zero = origin == VocOrigin::One
                && (xmin < 1.0 || ymin < 1.0)
                && (xmin >= 0.0 && ymin >= 0.0);
            let hint = match zero {
                true => {
                    ", as Pascal VOC counts; if these files count from 0, say so (`--voc-origin 0`)"
                }
                false => "",
            };
            let corners = format!("{xmin}, {ymin}, {xmax}, {ymax}");
            let origin = first as u8;
            return Err(self.at(bounds, VocProblem::Box { corners, width, height, origin, hint }));
        }
        let bbox = [xmin - first, ymin - first, xmax - xmin + first, ymax - ymin + first];
        Ok(Object { name: text_of(name).to_owned(), bbox, difficult })
    }
}

/// The text of an element that holds nothing else; empty for one with elements or comments in it.
fn text_of<'a>(node: Node<'a, '_>) -> &'a str {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (Some(text), None) if text.is_text() => text.text().unwrap_or_default().trim(),
        _ => "",
    }
}

fn echo(value: &str) -> String {
    value.chars().take(MAX_ECHO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<annotation>
<folder>x</folder><filename>1.jpg</filename>
<size><width>500</width><height>375</height><depth>3</depth></size>
<object><name>dog &amp; cat</name><part><name>head</name><bndbox><xmin>9</xmin></bndbox></part>
<difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>11.5</ymin><xmax>500</xmax><ymax>20</ymax></bndbox></object>
<object><name>ant</name><bndbox><xmax>2</xmax><xmin>2</xmin><ymin>3</ymin><ymax>3</ymax></bndbox></object>
</annotation>";

    fn read(content: impl AsRef<[u8]>, origin: VocOrigin) -> Result<GroundTruth> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/1.xml"), content).unwrap();
        GroundTruth::from_voc(folder.path(), origin)
    }

    #[test]
    fn boxes_and_ids_are_those_of_the_same_annotations_as_json() {
        let json = |boxes: [&str; 2]| {
            format!(
                r#"{{"images": [{{"id": 1, "file_name": "a/1.jpg", "width": 500, "height": 375}}],
                "categories": [{{"id": 1, "name": "ant"}}, {{"id": 2, "name": "dog & cat"}}],
                "annotations": [{{"id": 1, "image_id": 1, "category_id": 2, "bbox": {}, "iscrowd": 1}},
                {{"id": 2, "image_id": 1, "category_id": 1, "bbox": {}}}]}}"#,
                boxes[0], boxes[1]
            )
        };
        for (origin, boxes) in [
            (VocOrigin::One, ["[0, 10.5, 500, 9.5]", "[1, 2, 1, 1]"]),
            (VocOrigin::Zero, ["[1, 11.5, 499, 8.5]", "[2, 3, 0, 0]"]),
        ] {
            let expected = GroundTruth::from_json(json(boxes).as_bytes(), "json").unwrap();
            assert_eq!(read(GOOD, origin).unwrap(), expected);
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_refused_with_their_line() {
        let with = |old: &str, new: &str| {
            assert!(GOOD.contains(old), "{old}");
            GOOD.replacen(old, new, 1)
        };
        for (content, part) in [
            (String::new(), "it is not XML"),
            (with("</object>", ""), "it is not XML"),
            (
                with("annotation>", "html>").replace("</annotation", "</html"),
                "line 1: the outermost element is <html>",
            ),
            (
                with("<size>", "<site>").replace("</size", "</site"),
                "line 1: <annotation> has no <size>",
            ),
            (with("<width>500</width>", ""), "line 3: <size> has no <width>"),
            (with("<width>500", "<width>0"), "line 3: <width> is \"0\", expected a whole number"),
            (with("<width>500", "<width>1e9"), "<width> is \"1e9\""),
            (with("<width>500", "<width>99999999999"), "<width> is \"99999999999\""),
            (
                with("<folder>x</folder>", "<filename>2.jpg</filename>"),
                "line 2: <annotation> has <filename> twice",
            ),
            (with("1.jpg", "../1.jpg"), "line 2: <filename> is \"../1.jpg\""),
            (with("1.jpg", ".."), "<filename> is \"..\""),
            (with("1.jpg", "C:\\1.jpg"), "<filename> is \"C:\\\\1.jpg\""),
            (with("<name>ant</name>", ""), "line 7: <object> has no <name>"),
            (with("ant", " "), "line 7: <name> is \"\""),
            (
                with("<difficult>1", "<difficult>yes"),
                "line 5: <difficult> is \"yes\", expected 0 or 1",
            ),
            (with("11.5", "NaN"), "line 6: <ymin> is \"NaN\", expected a number of pixels"),
            (with("11.5", "1e400"), "<ymin> is \"1e400\""),
            (with("11.5", "<b>3</b>"), "<ymin> is \"\""),
            (
                with("<xmax>500", "<xmax>501"),
                "line 6: the box (1, 11.5, 501, 20) is not in an image of 500 x 375",
            ),
            (
                with("<xmin>1<", "<xmin>0<"),
                "counted from 1, as Pascal VOC counts; if these files count from 0",
            ),
            (with("<ymax>20", "<ymax>2"), "the box (1, 11.5, 500, 2) is not in"),
            (with("<xmin>1</xmin>", ""), "line 6: <bndbox> has no <xmin>"),
        ] {
            let error = read(&content, VocOrigin::One).unwrap_err().to_string();
            assert!(error.contains("1.xml\", line ") && error.contains(part), "{part}: {error}");
        }
        let error = read(b"<annotation>\n\xff", VocOrigin::One).unwrap_err().to_string();
        assert!(error.contains("line 2: it is not XML that is read: it is not UTF-8"), "{error}");
    }

    #[test]
    fn entities_bombs_and_deep_nesting_are_refused_quickly() {
        let bomb: String =
            (1..20).map(|n| format!("<!ENTITY e{n} \"&e{};&e{};\">", n - 1, n - 1)).collect();
        let bomb =
            format!("<!DOCTYPE a [<!ENTITY e0 \"ha\">{bomb}]><annotation>&e19;</annotation>");
        let outside =
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><annotation>&x;</annotation>";
        let deep = "<annotation>".repeat(1 << 17);
        let wide = format!("<annotation>{}</annotation>", "<a/>".repeat(1 << 20));
        for content in [&bomb, outside, "<annotation>&undefined;</annotation>", &deep, &wide] {
            let error = read(content, VocOrigin::One).unwrap_err().to_string();
            assert!(error.contains("it is not XML that is read"), "{error}");
        }
        let closed = deep.clone() + &"</annotation>".repeat(1 << 17);
        read(closed, VocOrigin::One).unwrap_err();
    }

    #[test]
    fn damaged_files_are_read_or_refused_and_nothing_else() {
        let mut state = 0x9e37_79b9_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        const PIECES: [&str; 10] =
            ["<", "</", "&", "\u{0}", "<![CDATA[", "<!--", "<?x", "-9e999", "\u{e9}", "<object>"];
        let (mut read, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let mut bytes = GOOD.as_bytes().to_vec();
            for _ in 0..=next(2) {
                let place = next(bytes.len());
                match next(12) {
                    0 => bytes[place] = next(256) as u8,
                    4.. => bytes[place] = b'0' + next(75) as u8,
                    1 => drop(bytes.drain(place..(place + 1 + next(40)).min(bytes.len()))),
                    2 => drop(bytes.splice(place..place, PIECES[next(PIECES.len())].bytes())),
                    _ => bytes.truncate(place.max(1)),
                }
                if bytes.is_empty() {
                    bytes.push(b' ');
                }
            }
            match parse(&bytes, Path::new("1.xml"), 1, VocOrigin::One) {
                Ok(_) => read += 1,
                Err((line, problem)) => {
                    assert!(line >= 1 && !problem.to_string().is_empty());
                    refused += 1;
                }
            }
        }
        assert!(read > 500 && refused > 5_000, "{read} read, {refused} refused");
    }

    #[test]
    fn two_files_of_one_image_and_a_folder_without_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = GroundTruth::from_voc(folder.path(), VocOrigin::One).unwrap_err().to_string();
        assert!(error.contains("holds no Pascal VOC file"), "{error}");
        for name in ["1.xml", "2.xml"] {
            std::fs::write(folder.path().join(name), GOOD).unwrap();
        }
        let error = GroundTruth::from_voc(folder.path(), VocOrigin::One).unwrap_err().to_string();
        assert!(
            error.contains("2.xml\", line 1: the image \"1.jpg\" has annotations in"),
            "{error}"
        );
    }
}
