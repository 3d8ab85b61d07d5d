//! Checkpoint files: what is read, converted and refused.

mod containers;
mod damage;
mod loading;
mod torchvision;
