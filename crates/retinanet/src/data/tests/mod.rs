mod listing;
mod loader;
