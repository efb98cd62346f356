// libtorch has gloo compiled in, but ships none of its headers. These declare the few names that c10d's own header needs
// to be read; nothing here is ever constructed or called by us. The layouts of c10d's classes do not depend on them: they
// hold gloo's types behind pointers only.
#pragma once
