#pragma once
// unique_ptr for objects of C libraries, with the function that frees them as a part of its type.

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
