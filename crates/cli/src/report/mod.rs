//! One self-contained HTML page about what was found: no script, font, style or picture comes from elsewhere.

mod answer;
mod page;
mod pictures;
mod sections;
mod statistics;
mod thumbnail;

pub use answer::{Answer, Found, Outcome as AnswerOutcome, Results};
pub use page::{Accuracy, Page, Run};
pub use pictures::{PictureLimits, Pictures};
