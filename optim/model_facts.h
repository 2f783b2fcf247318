// Facts that a saved model carries about its data, and data brought to them: how images become what
// the network takes, the classes, the share of the training part that was held out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "autograd/graph.h"
#include "datasets/dataset.h"

namespace pare {

// Writes the model's name, preprocessing (with what a pixel was, axes and size), and what
// describe_data writes.
void describe_model(Graph& graph, const std::string& model, const Dataset& data);
// The data it is trained and judged on: name, classes, held-out share.
void describe_data(Graph& graph, const Dataset& data);
// For a training: where the classes of `graph` have numbers for names and `from`, or data with
// names of its own, has as many: its names.
void adopt_class_names(Graph& graph, const Graph& from);
void adopt_class_names(Graph& graph, const Dataset& data);
// A note where `data` calls the same classes by other names, else "".
std::string other_class_names(const Graph& graph, const Dataset& data);

// What the model says of its images; nothing where it says nothing. A file without a word about
// pixels was trained on bytes where its data set or a scale of 1/255 tells; else `pixels` stays
// absent. Throws Error{bad_input} where it contradicts the network's input.
std::optional<Preprocessing> preprocessing_of(const Graph& graph);
// The same for images of bytes, 0 black and 255 white, as picture files hold. Throws
// Error{bad_input} where the model does not say it, or takes numbers of an unknown unit.
Preprocessing picture_preprocessing(const Graph& graph);

int64_t class_count(const Graph& graph);  // extent of the logits
// Names of the classes: as many as there are logits, or none. Throws Error{bad_input} where the
// model's list is damaged.
std::vector<std::string> class_names(const Graph& graph);

// `data` as the model takes it: the model's preprocessing, converted for the data's pixels, its
// classes with their names, its held-out share. Data may have fewer classes. What the model does
// not say yet, and the name of other data than its own, is written into `graph`. Throws
// Error{bad_input} where size, labels or pixels do not fit, naming both sides.
Dataset fit_data(Graph& graph, Dataset data);

// The preprocessing that `model` asks of images of the kind that `other` takes; nothing where one
// of them says nothing. Throws Error{bad_input} naming both where it cannot be.
std::optional<Preprocessing> preprocessing_for(const Graph& model, const Graph& other);

// Throws Error{bad_input} where `names` are the model's `classes` in another order. `what` has the
// names.
void check_class_order(const std::vector<std::string>& names,
                       const std::vector<std::string>& classes, const std::string& what);

// For a training of `graph` on `data`: checks that the preprocessing fits both, writes into `graph`
// what it does not say yet, and returns the data's preprocessing with what a pixel is.
Preprocessing settle_preprocessing(Graph& graph, const Dataset& data, double holdout);

// Throws Error{bad_input} where `used` gives the network other numbers for a picture than what the
// model says.
void check_preprocessing(const Graph& graph, const Preprocessing& used);

}  // namespace pare
