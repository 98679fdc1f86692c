#pragma once
// Owners for what a C library allocates: a unique_ptr that knows the function to free it with.

#include <memory>

namespace sshtpm {

template <auto free_function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};

template <class T, auto free_function>
using Owner = std::unique_ptr<T, Free<free_function>>;

} // namespace sshtpm
