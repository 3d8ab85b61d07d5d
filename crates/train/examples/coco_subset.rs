//! Cuts a small training set out of COCO by a list, so that anyone can repeat a run on the same pictures and boxes.
//!
//!     cargo run --release -p retinanet-train --example coco_subset -- examples/recipes/person_r18.tsv person \
//!         examples/recipes/person_r18 instances_train2017.json instances_val2017.json train2017 val2017
//!
//! Arguments: the list, the category, the folder to write, then COCO's annotation files and folders of photos in any order.
//! The folder then holds `photos/` and one annotation file for each part that the list names, such as `train.json`. A photo
//! or a box that is not what the list says is an error that names the image. A line of the list is
//!
//!     part <tab> image id <tab> SHA-256 of the JPEG file <tab> number of boxes <tab> SHA-256 of the boxes
//!
//! Boxes are rounded to hundredths of a pixel and sorted, so that no order of COCO's file matters; what is hashed is a line of
//! left, top, width, height in hundredths and 0 or 1 for a crowd region, for each box.
//!
//! The list itself is made by `--list`, from annotation files named after the parts:
//!
//!     ... --example coco_subset -- --list person train.json watch.json photos > list.tsv

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use retinanet::determinism::Digest;
use retinanet::eval::{CocoImage, GroundTruth};
use retinanet::files::write_whole;
use serde_json::json;
use sha2::{Digest as _, Sha256};

type Failure = Box<dyn std::error::Error>;

/// Left, top, width, height in hundredths of a pixel, and whether it is a crowd region.
type BoxLine = ([i64; 4], bool);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, category, sources @ ..] if flag == "--list" && !sources.is_empty() => {
            print!("{}", list(category, &Sources::open(sources, category)?)?);
        }
        [list, category, out, sources @ ..] if !sources.is_empty() => {
            let list = std::fs::read_to_string(list)?;
            let sources = Sources::open(sources, category)?;
            println!("{}", make(&list, category, &sources, Path::new(out))?);
        }
        _ => return Err("usage: coco_subset LIST CATEGORY OUT ANNOTATIONS.json.. PHOTOS.. (or --list CATEGORY ..)".into()),
    }
    Ok(())
}

/// An annotation file.
struct Part {
    /// The file's name without its end.
    name: String,
    images: Vec<CocoImage>,
    /// The sorted boxes of each image.
    boxes: HashMap<i64, Vec<BoxLine>>,
}

impl Part {
    fn boxes(&self, image_id: i64) -> &[BoxLine] {
        self.boxes.get(&image_id).map_or(&[], Vec::as_slice)
    }
}

/// COCO's files.
struct Sources {
    parts: Vec<Part>,
    folders: Vec<PathBuf>,
}

impl Sources {
    fn open(paths: &[String], category: &str) -> Result<Self, Failure> {
        let (mut parts, mut folders) = (vec![], vec![]);
        for path in paths.iter().map(PathBuf::from) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let truth = GroundTruth::open(&path)?;
            let wanted = truth.categories().iter().find(|one| one.name == category);
            let Some(wanted) = wanted else {
                return Err(format!("{path:?} has no category {category:?}").into());
            };
            let mut boxes: HashMap<i64, Vec<BoxLine>> = HashMap::new();
            for one in truth.annotations().iter().filter(|one| one.category_id == wanted.id) {
                let hundredths = one.bbox.map(|value| (value * 100.0).round() as i64);
                boxes.entry(one.image_id).or_default().push((hundredths, one.iscrowd));
            }
            boxes.values_mut().for_each(|boxes| boxes.sort_unstable());
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            parts.push(Part { name, images: truth.images().to_vec(), boxes });
        }
        Ok(Self { parts, folders })
    }

    /// An image's entry and its boxes.
    fn image(&self, id: i64) -> Option<(&CocoImage, &[BoxLine])> {
        self.parts.iter().find_map(|part| {
            let image = part.images.iter().find(|image| image.id == id)?;
            Some((image, part.boxes(id)))
        })
    }

    /// An image's file.
    fn photo(&self, image: &CocoImage) -> Result<Vec<u8>, Failure> {
        let paths = self.folders.iter().map(|folder| folder.join(&image.file_name));
        match paths.into_iter().find(|path| path.is_file()) {
            Some(path) => std::fs::read(&path).map_err(|error| format!("{path:?}: {error}").into()),
            None => {
                let (id, name) = (image.id, &image.file_name);
                Err(format!("image {id} ({name:?}) is in none of the folders of photos").into())
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Digest::from_bytes(Sha256::digest(bytes).into()).to_string()
}

fn digest_of(boxes: &[BoxLine]) -> String {
    let lines = boxes.iter().map(|([left, top, width, height], crowd)| {
        format!("{left} {top} {width} {height} {}\n", u8::from(*crowd))
    });
    sha256(lines.collect::<String>().as_bytes())
}

fn list(category: &str, sources: &Sources) -> Result<String, Failure> {
    let mut text =
        format!("# part\timage\tSHA-256 of the file\tboxes of {category}\tSHA-256 of these\n");
    for part in &sources.parts {
        for image in &part.images {
            let (name, id, boxes) = (&part.name, image.id, part.boxes(image.id));
            let (photo, count) = (sha256(&sources.photo(image)?), boxes.len());
            writeln!(text, "{name}\t{id}\t{photo}\t{count}\t{}", digest_of(boxes))?;
        }
    }
    Ok(text)
}

fn make(list: &str, category: &str, sources: &Sources, out: &Path) -> Result<String, Failure> {
    let photos = out.join("photos");
    std::fs::create_dir_all(&photos)?;
    let mut parts: BTreeMap<&str, (Vec<_>, Vec<_>)> = BTreeMap::new();
    for (number, line) in list.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let unreadable = || format!("line {} of the list is not five fields", number + 1);
        let [part, id, photo_digest, count, boxes_digest] =
            line.split('\t').collect::<Vec<_>>()[..].try_into().map_err(|_| unreadable())?;
        let id: i64 = id.parse().map_err(|_| unreadable())?;
        if part.is_empty() || !part.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(unreadable().into());
        }
        let (image, boxes) =
            sources.image(id).ok_or_else(|| format!("image {id} is in no annotation file"))?;
        if boxes.len().to_string() != count || digest_of(boxes) != boxes_digest {
            let found = boxes.len();
            return Err(format!("image {id}: its {found} boxes are not the list's {count}").into());
        }
        let photo = sources.photo(image)?;
        if sha256(&photo) != photo_digest {
            return Err(format!("image {id}: its file is not the one of the list").into());
        }
        let file_name = format!("{id:012}.jpg");
        write_whole(photos.join(&file_name), &photo)?;
        let (images, annotations) = parts.entry(part).or_default();
        let (width, height) = (image.width, image.height);
        images.push(json!({ "id": id, "file_name": file_name, "width": width, "height": height }));
        for (hundredths, crowd) in boxes {
            let bbox = hundredths.map(|value| value as f64 / 100.0);
            annotations.push(json!({
                "id": annotations.len() + 1,
                "image_id": id,
                "category_id": 1,
                "bbox": bbox,
                // Of the box, not of the outline that COCO measures: only evaluation by size looks at it.
                "area": bbox[2] * bbox[3],
                "iscrowd": u8::from(*crowd),
            }));
        }
    }
    let mut said = vec![];
    for (part, (images, annotations)) in &parts {
        let path = out.join(format!("{part}.json"));
        let categories = [json!({ "id": 1, "name": category })];
        let file =
            json!({ "images": images, "annotations": annotations, "categories": categories });
        write_whole(&path, &serde_json::to_vec(&file)?)?;
        said.push(format!(
            "{}: {} images, {} boxes",
            path.display(),
            images.len(),
            annotations.len()
        ));
    }
    Ok(said.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pictures that are files, three boxes, one of another category.
    fn sources(folder: &Path, box_x: f64) -> Sources {
        std::fs::write(folder.join("a.jpg"), b"first").unwrap();
        std::fs::write(folder.join("b.jpg"), b"second").unwrap();
        let one = |id: i64, image_id: i64, category_id: i64, x: f64| json!({ "id": id, "image_id": image_id, "category_id": category_id, "bbox": [x, 2.0, 3.25, 4.0] });
        let file = json!({
            "images": [
                { "id": 3, "file_name": "a.jpg", "width": 20, "height": 10 },
                { "id": 9, "file_name": "b.jpg", "width": 20, "height": 10 },
            ],
            "categories": [{ "id": 1, "name": "person" }, { "id": 2, "name": "cat" }],
            "annotations": [one(1, 3, 1, box_x), one(2, 3, 1, 1.0), one(3, 3, 2, 0.0)],
        });
        std::fs::write(folder.join("train.json"), file.to_string()).unwrap();
        let paths = ["train.json", "."].map(|name| folder.join(name).display().to_string());
        Sources::open(&paths, "person").unwrap()
    }

    #[test]
    fn a_list_makes_the_set_that_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let from = sources(folder.path(), 7.501);
        let listed = list("person", &from).unwrap();
        assert_eq!(listed.lines().count(), 3);
        let out = folder.path().join("out");
        let said = make(&listed, "person", &from, &out).unwrap();
        assert!(said.ends_with("train.json: 2 images, 2 boxes"), "{said}");
        let truth = GroundTruth::open(out.join("train.json")).unwrap();
        let boxes: Vec<_> = truth.annotations().iter().map(|one| one.bbox).collect();
        assert_eq!(boxes, [[1.0, 2.0, 3.25, 4.0], [7.5, 2.0, 3.25, 4.0]]);
        assert_eq!(std::fs::read(out.join("photos/000000000009.jpg")).unwrap(), b"second");
        // Of what was made, the list is the same.
        let paths = ["train.json", "photos"].map(|name| out.join(name).display().to_string());
        assert_eq!(list("person", &Sources::open(&paths, "person").unwrap()).unwrap(), listed);
    }

    #[test]
    fn another_photo_box_or_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let listed = list("person", &sources(folder.path(), 7.5)).unwrap();
        let refused = |listed: &str, from: &Sources| {
            make(listed, "person", from, &folder.path().join("out")).unwrap_err().to_string()
        };
        let moved = sources(folder.path(), 7.51);
        assert_eq!(refused(&listed, &moved), "image 3: its 2 boxes are not the list's 2");
        let same = sources(folder.path(), 7.5);
        assert_eq!(refused("train\t4\t\t0\t\n", &same), "image 4 is in no annotation file");
        for line in ["train\t3", "../x\t3\t\t0\t", "train\tx\t\t0\t"] {
            assert_eq!(refused(line, &same), "line 1 of the list is not five fields");
        }
        std::fs::write(folder.path().join("b.jpg"), b"other").unwrap();
        assert_eq!(refused(&listed, &same), "image 9: its file is not the one of the list");
        std::fs::remove_file(folder.path().join("b.jpg")).unwrap();
        assert!(refused(&listed, &same).starts_with("image 9 (\"b.jpg\") is in none"));
    }
}
