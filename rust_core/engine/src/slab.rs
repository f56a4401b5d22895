//! A slab in pages: an item never moves, growth copies nothing, an empty page's memory goes back.

const PAGE: usize = 1024;

/// Items by a small number that is reused after removal.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Option<Page<T>>>,
    /// Pages with room, the one to fill last.
    roomy: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Page<T> {
    items: Vec<Option<T>>,
    free: Vec<u16>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            roomy: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Every key is below this: for readers that go on from where they were.
    pub(crate) fn bound(&self) -> u32 {
        (self.pages.len() * PAGE) as u32
    }

    pub(crate) fn insert(&mut self, item: T) -> u32 {
        let page_number = match self.roomy.last() {
            Some(&page) => page,
            None => self.new_page(),
        };
        let page = self.pages[page_number as usize]
            .as_mut()
            .expect("a roomy page is there");
        let at = if let Some(at) = page.free.pop() {
            page.items[at as usize] = Some(item);
            at as usize
        } else {
            page.items.push(Some(item));
            page.items.len() - 1
        };
        if page.free.is_empty() && page.items.len() == PAGE {
            self.roomy.pop();
        }
        self.len += 1;
        page_number * PAGE as u32 + at as u32
    }

    fn new_page(&mut self) -> u32 {
        let page = Page {
            items: Vec::with_capacity(PAGE),
            free: Vec::new(),
        };
        let number = self.pages.iter().position(Option::is_none).unwrap_or_else(|| {
            self.pages.push(None);
            self.pages.len() - 1
        });
        self.pages[number] = Some(page);
        self.roomy.push(number as u32);
        number as u32
    }

    /// Takes an item out, to be dropped where it stands.
    pub(crate) fn discard(&mut self, key: u32) {
        self.take(key, |place| *place = None);
    }

    pub(crate) fn remove(&mut self, key: u32) -> T {
        self.take(key, Option::take).expect("a key names a live item")
    }

    fn take<R>(&mut self, key: u32, out: impl FnOnce(&mut Option<T>) -> R) -> R {
        let number = key as usize / PAGE;
        let page = self.pages[number].as_mut().expect("a key names a live page");
        let item = out(&mut page.items[key as usize % PAGE]);
        let was_full = page.free.is_empty() && page.items.len() == PAGE;
        page.free.push((key as usize % PAGE) as u16);
        let empty = page.free.len() == page.items.len();
        self.len -= 1;
        if was_full {
            self.roomy.push(number as u32);
        }
        // The last roomy page stays, so that one ticket coming and going does not map and unmap a page.
        if empty && self.roomy.len() > 1 {
            self.pages[number] = None;
            self.roomy.retain(|&page| page as usize != number);
        }
        item
    }

    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        self.pages
            .get(key as usize / PAGE)?
            .as_ref()?
            .items
            .get(key as usize % PAGE)?
            .as_ref()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        self.pages.iter().enumerate().flat_map(|(number, page)| {
            page.iter().flat_map(move |page| {
                page.items
                    .iter()
                    .enumerate()
                    .filter(|(_, item)| item.is_some())
                    .map(move |(at, _)| (number * PAGE + at) as u32)
            })
        })
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, key: u32) -> &T {
        self.get(key).expect("a key names a live item")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, key: u32) -> &mut T {
        self.pages[key as usize / PAGE]
            .as_mut()
            .and_then(|page| page.items[key as usize % PAGE].as_mut())
            .expect("a key names a live item")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_back_and_numbers_are_reused() {
        let mut slab = Slab::default();
        let keys: Vec<u32> = (0..3000).map(|n| slab.insert(n)).collect();
        assert_eq!((slab.len(), slab[keys[2999]]), (3000, 2999));
        for &key in &keys {
            slab.remove(key);
        }
        assert_eq!(slab.len(), 0);
        assert_eq!(slab.pages.iter().flatten().count(), 1, "one page is kept");
        assert!((slab.insert(1) as usize) < 3000);
        assert_eq!(slab.keys().count(), 1);
    }
}
