//! The fields of a type, each written once. Two ways of resolving it come of that.
//!
//! The **ordinary way** is async-graphql's. It is made for fields that wait: each gets a future on the heap, all of an
//! object's futures are driven together, every value becomes a node of a tree, and the tree becomes text. The **fast
//! way** ([`super::inline`]) writes JSON text at once. A page has some thousand objects that have everything in memory;
//! there the ordinary way costs several times what the values cost. But it can do everything, so whatever the fast way
//! can't do goes the ordinary way, and nobody sees which way an answer came: `tests/api/ways_to_resolve.rs`.
//!
//! A type that goes both ways has a **view**, which its fields are worked out from ([`Viewed`](super::inline::Viewed)),
//! and its fields in `fields!`:
//!
//! ```text
//! pub struct JobNode { job: Arc<Job>, graph: Option<Arc<BatchGraph>> }   // its view: JobView { &job, Option<&graph> }
//!
//! fields! {
//!     /// One extract of a source object, or one load of a destination object.
//!     #[Object(name = "Job")]
//!     JobNode |it, ctx|;
//!
//!     /// Its place in the batch.
//!     value position: u32 = it.job.position;
//!
//!     /// The batch it belongs to.
//!     object batch: BatchNode = it.graph?, after with_batch(it, ctx);
//!
//!     /// The connection it uses.
//!     object connection: ConnectionNode = it.connection()?, else load_connection(ctx, it.job.connection_id);
//!
//!     /// The jobs that it waits for.
//!     list dependencies: JobDependency = it.links(Side::Required)?, else it.load_links(ctx, Side::Required);
//!
//!     /// The attempts at it, oldest first.
//!     async fn attempts(&self, ctx: &Context<'_>) -> Result<InlineList<AttemptNode>> { … }
//! }
//! ```
//!
//! The comment is the description in the schema, the name is the field's in snake case, and one expression over the
//! view (`it`) gives its value in both ways:
//!
//! | entry | its expression gives | what both ways make of it |
//! |---|---|---|
//! | `value` | a [`Leaf`](super::leaf::Leaf): a scalar, an enum, texts, each nullable or not | the leaf |
//! | `object` | the view of another type that has `fields!`; `Option` of one where the type is an `Option` | that object |
//! | `list` | an iterator of such views; it may take arguments | the list of those objects |
//! | `async fn` | – | a resolver as async-graphql has it: the fast way does not know the field |
//!
//! A `?` in an expression says that something may not be at hand. That ends the fast way. The ordinary way then awaits
//! what stands at the end of the entry, in a `Result`: **`after`** a node of the same type that has what was missing,
//! and the same expression is run over that; or **`else`** the object or the list itself.
//!
//! So a field can't have two values. Below, each kind of entry is one rule, which turns it into a resolver and into a
//! step of the plan of the fast way.

macro_rules! fields {
    ($(#[$about:meta])* $node:ident |$it:ident|; $($entries:tt)*) => {
        $crate::graphql::fields::fields! { $(#[$about])* $node |$it, ctx|; $($entries)* }
    };
    ($(#[$about:meta])* $node:ident |$it:ident, $ctx:ident|; $($entries:tt)*) => {
        $crate::graphql::fields::fields! {
            @entry { { $(#[$about])* } $node $it $ctx asked } {} {} $($entries)*
        }
    };

    // A value that is always at hand.
    (
        @entry { $about:tt $node:ident $it:ident $ctx:ident $asked:ident } { $($resolvers:tt)* } { $($steps:tt)* }
        $(#[$doc:meta])* value $name:ident: $leaf:ty = $value:expr; $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry { $about $node $it $ctx $asked }
            {
                $($resolvers)*

                $(#[$doc])*
                pub async fn $name(&self) -> $leaf {
                    let $it = $crate::graphql::inline::Viewed::view(self);
                    $value
                }
            }
            {
                $($steps)*
                if $asked.is(stringify!($name)) {
                    return $crate::graphql::inline::step::<Self>(|$it, json| {
                        let value: $leaf = $value;
                        $crate::graphql::leaf::Leaf::write(&value, json);
                        Some(())
                    });
                }
            }
            $($rest)*
        }
    };

    // A nullable value that may not be at hand. A failure makes it null, and nothing around it.
    (
        @entry { $about:tt $node:ident $it:ident $ctx:ident $asked:ident } { $($resolvers:tt)* } { $($steps:tt)* }
        $(#[$doc:meta])* value $name:ident: Option<$leaf:ty> = $value:expr, after $whole:expr; $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry { $about $node $it $ctx $asked }
            {
                $($resolvers)*

                $(#[$doc])*
                async fn $name(&self, $ctx: &::async_graphql::Context<'_>) -> Option<::async_graphql::Result<$leaf>> {
                    let value: ::async_graphql::Result<Option<$leaf>> = async {
                        $crate::graphql::fields::resolved!({ value } self, $it, $value, after $whole)
                    }.await;
                    value.transpose()
                }
            }
            {
                $($steps)*
                if $asked.is(stringify!($name)) {
                    return $crate::graphql::inline::step::<Self>(|$it, json| {
                        let value: Option<$leaf> = $value;
                        $crate::graphql::leaf::Leaf::write(&value, json);
                        Some(())
                    });
                }
            }
            $($rest)*
        }
    };

    // An object that may be null.
    (
        @entry { $about:tt $node:ident $it:ident $ctx:ident $asked:ident } { $($resolvers:tt)* } { $($steps:tt)* }
        $(#[$doc:meta])* object $name:ident: Option<$of:ty> = $view:expr $(, $how:ident $what:expr)?; $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry { $about $node $it $ctx $asked }
            {
                $($resolvers)*

                $(#[$doc])*
                async fn $name(&self, $ctx: &::async_graphql::Context<'_>)
                    -> ::async_graphql::Result<Option<$crate::graphql::inline::Inline<$of>>>
                {
                    let _ = $ctx;
                    let object: ::async_graphql::Result<Option<$of>> = $crate::graphql::fields::resolved!(
                        { option $of } self, $it, $view $(, $how $what)?
                    );
                    Ok(object?.map($crate::graphql::inline::Inline))
                }
            }
            {
                $($steps)*
                if $asked.is(stringify!($name)) {
                    let plan = $asked.plan::<$of>()?;
                    return $crate::graphql::inline::step::<Self>(move |$it, json| match $view {
                        Some(view) => plan.write(view, json),
                        None => {
                            json.raw("null");
                            Some(())
                        }
                    });
                }
            }
            $($rest)*
        }
    };

    // An object.
    (
        @entry { $about:tt $node:ident $it:ident $ctx:ident $asked:ident } { $($resolvers:tt)* } { $($steps:tt)* }
        $(#[$doc:meta])* object $name:ident: $of:ty = $view:expr $(, $how:ident $what:expr)?; $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry { $about $node $it $ctx $asked }
            {
                $($resolvers)*

                $(#[$doc])*
                async fn $name(&self, $ctx: &::async_graphql::Context<'_>)
                    -> ::async_graphql::Result<$crate::graphql::inline::Inline<$of>>
                {
                    let _ = $ctx;
                    let object: ::async_graphql::Result<$of> = $crate::graphql::fields::resolved!(
                        { object $of } self, $it, $view $(, $how $what)?
                    );
                    Ok($crate::graphql::inline::Inline(object?))
                }
            }
            {
                $($steps)*
                if $asked.is(stringify!($name)) {
                    let plan = $asked.plan::<$of>()?;
                    return $crate::graphql::inline::step::<Self>(move |$it, json| plan.write($view, json));
                }
            }
            $($rest)*
        }
    };

    // A list of objects.
    (
        @entry { $about:tt $node:ident $it:ident $ctx:ident $asked:ident } { $($resolvers:tt)* } { $($steps:tt)* }
        $(#[$doc:meta])*
        list $name:ident $(($($(#[$argument:meta])* $given:ident: $type:ty),*))?: $of:ty
            = $views:expr $(, $how:ident $what:expr)?;
        $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry { $about $node $it $ctx $asked }
            {
                $($resolvers)*

                $(#[$doc])*
                async fn $name(
                    &self, $ctx: &::async_graphql::Context<'_> $($(, $(#[$argument])* $given: $type)*)?
                ) -> ::async_graphql::Result<$crate::graphql::inline::InlineList<$of>> {
                    let _ = $ctx;
                    let list: ::async_graphql::Result<Vec<$of>> = $crate::graphql::fields::resolved!(
                        { list $of } self, $it, $views $(, $how $what)?
                    );
                    Ok($crate::graphql::inline::InlineList(list?))
                }
            }
            {
                $($steps)*
                if $asked.is(stringify!($name)) {
                    let plan = $asked.plan::<$of>()?;
                    $($(let $given: $type = $asked.argument(stringify!($given))?;)*)?
                    return $crate::graphql::inline::step::<Self>(move |$it, json| plan.write_list($views, json));
                }
            }
            $($rest)*
        }
    };

    // A field that waits.
    (
        @entry $head:tt { $($resolvers:tt)* } $steps:tt
        $(#[$doc:meta])* async fn $name:ident($($arguments:tt)*) -> Result<$type:ty> $body:block $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry $head
            { $($resolvers)* $(#[$doc])* async fn $name($($arguments)*) -> Result<$type> $body }
            $steps
            $($rest)*
        }
    };

    (
        @entry $head:tt { $($resolvers:tt)* } $steps:tt
        $(#[$doc:meta])* async fn $name:ident($($arguments:tt)*) -> $type:ty $body:block $($rest:tt)*
    ) => {
        $crate::graphql::fields::fields! {
            @entry $head
            { $($resolvers)* $(#[$doc])* async fn $name($($arguments)*) -> $type $body }
            $steps
            $($rest)*
        }
    };

    // No more fields.
    (
        @entry { { $($about:tt)* } $node:ident $it:ident $ctx:ident $asked:ident }
        { $($resolvers:tt)* } { $($steps:tt)* }
    ) => {
        $($about)*
        impl $node {
            $($resolvers)*
        }

        impl $crate::graphql::inline::AtHand for $node {
            fn field($asked: &$crate::graphql::inline::Asked<'_>) -> Option<$crate::graphql::inline::Write<Self>> {
                $($steps)*
                None
            }
        }
    };
}

/// What an expression over the view gives, made to last; else what stands after it.
macro_rules! resolved {
    ($kind:tt $node:expr, $it:ident, $expression:expr) => {{
        let $it = $crate::graphql::inline::Viewed::view($node);
        Ok($crate::graphql::fields::kept!($kind $expression))
    }};
    ($kind:tt $node:expr, $it:ident, $expression:expr, else $loaded:expr) => {{
        let $it = $crate::graphql::inline::Viewed::view($node);
        match $crate::graphql::inline::if_at_hand(|| {
            Some($crate::graphql::fields::kept!($kind $expression))
        }) {
            Some(value) => Ok(value),
            None => $loaded.await,
        }
    }};
    ($kind:tt $node:expr, $it:ident, $expression:expr, after $whole:expr) => {
        $crate::graphql::fields::resolved!($kind $node, $it, $expression, else async {
            let whole: Self = $whole.await?;
            let $it = $crate::graphql::inline::Viewed::view(&whole);
            $crate::graphql::inline::if_at_hand(|| {
                Some($crate::graphql::fields::kept!($kind $expression))
            })
            .ok_or_else(|| $crate::graphql::error::gone("object"))
        })
    };
}

/// What was only looked at, made to last.
macro_rules! kept {
    ({ value } $value:expr) => {
        $value
    };
    ({ object $of:ty } $view:expr) => {
        <$of as $crate::graphql::inline::Kept>::kept($view)
    };
    ({ option $of:ty } $view:expr) => {
        $view.map(<$of as $crate::graphql::inline::Kept>::kept)
    };
    ({ list $of:ty } $views:expr) => {
        $views.map(<$of as $crate::graphql::inline::Kept>::kept).collect()
    };
}

pub(super) use {fields, kept, resolved};
