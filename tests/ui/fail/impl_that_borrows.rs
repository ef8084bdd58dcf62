use pool_core::pool_task;

struct Reader<'a>(&'a str);

#[pool_task(name = "reader")]
impl<'a> Reader<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }
}

fn main() {}
