//! `meltica bench`: measures this machine.
