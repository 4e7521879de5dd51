// One point a minute from all points of that minute. Of what must not be too small (distances,
// margins) the least, because a mean would hide the moment that mattered; of all other numbers the
// mean. Texts, numbers of records and frames are left out.
//
// This text is made by `retrotap-lake sink --create-buckets`, which puts it back when it was changed.
import "date"
import "types"

option task = {name: {name}, every: {every}, offset: 20s}

// Whole minutes only: a part of one would be written as if it were all of it.
numbers = from(bucket: {bucket})
    |> range(start: date.truncate(t: -{past}, unit: 1m), stop: date.truncate(t: now(), unit: 1m))
    |> filter(fn: (r) => r._field != "seq" and r._field != "frame")
    |> filter(
        fn: (r) =>
            types.isType(v: r._value, type: "float") or types.isType(v: r._value, type: "int"),
    )

numbers
    |> filter(fn: (r) => r._field =~ /(^|_)(distance|margin|separation)(_|$)/)
    |> aggregateWindow(every: 1m, fn: min, createEmpty: false, timeSrc: "_start")
    |> to(bucket: {bucket_1m}, org: {org})
    |> yield(name: "least")

numbers
    |> filter(fn: (r) => r._field !~ /(^|_)(distance|margin|separation)(_|$)/)
    |> aggregateWindow(every: 1m, fn: mean, createEmpty: false, timeSrc: "_start")
    |> to(bucket: {bucket_1m}, org: {org})
    |> yield(name: "means")
