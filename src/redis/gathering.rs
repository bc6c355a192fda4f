//! Documents that are gathered, to build the trees of several models and databases by sorting.

use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::{Arc, Weak};

use crate::index::{Entries, Gathered};
use crate::model::Model;

/// Gathered documents. Their models are not kept by it.
#[derive(Default)]
pub struct Gathering {
    tables: Vec<GatheredTable>,
    numbers: HashMap<(*const Model, c_int), usize>,
    /// The number of the table that was added to last.
    last: usize,
}

/// The documents of one model in one database.
pub struct GatheredTable {
    pub model: Weak<Model>,
    pub database: c_int,
    pub gathered: Gathered,
}

impl Gathering {
    pub fn add(&mut self, model: &Arc<Model>, database: c_int, name: &[u8], entries: &Entries) {
        let of = (Arc::as_ptr(model), database);
        let is_it = |table: &GatheredTable| (table.model.as_ptr(), table.database) == (of.0, of.1);
        // Documents often come in the order of models.
        if !self.tables.get(self.last).is_some_and(is_it) {
            let tables = &mut self.tables;
            self.last = *self.numbers.entry(of).or_insert_with(|| {
                let (model, gathered) = (Arc::downgrade(model), Gathered::default());
                tables.push(GatheredTable { model, database, gathered });
                tables.len() - 1
            });
        }
        self.tables[self.last].gathered.add(name, entries);
    }

    /// Takes the document back that was added last.
    pub fn remove_last(&mut self) {
        if let Some(table) = self.tables.get_mut(self.last) {
            table.gathered.remove_last();
        }
    }

    pub fn tables(&self) -> &[GatheredTable] {
        &self.tables
    }

    pub fn into_tables(self) -> Vec<GatheredTable> {
        self.tables
    }

    pub fn tables_mut(&mut self) -> &mut [GatheredTable] {
        &mut self.tables
    }
}
