//! Who changed an attribute.

/// The number of the request (its handle) that made a change; it is told if the change fails for good.
pub(crate) type Author = u64;

/// Requests that changed an attribute, each once. It is nearly always one, for which no memory is asked.
#[derive(Default)]
pub(super) struct Authors {
    first: Option<Author>,
    others: Vec<Author>,
}

impl Authors {
    pub(super) fn add(&mut self, author: Author) {
        match self.first {
            None => self.first = Some(author),
            Some(first) if first == author || self.others.contains(&author) => {}
            Some(_) => self.others.push(author),
        }
    }

    /// In the order in which they came.
    pub(super) fn into_iter(self) -> impl Iterator<Item = Author> {
        self.first.into_iter().chain(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once() {
        let mut authors = Authors::default();
        for author in [3, 3, 1, 3, 2, 1] {
            authors.add(author);
        }
        assert_eq!(authors.into_iter().collect::<Vec<_>>(), [3, 1, 2]);
        assert_eq!(Authors::default().into_iter().next(), None);
    }
}
