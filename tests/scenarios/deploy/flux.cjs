// Reads a JSON list of Flux scripts from standard input and prints a JSON list of whether each is right
// to Flux's own checker, which knows types, names and the standard library. It says no more than that.
//
//   node flux.cjs FOLDER-OF-THE-PACKAGE
const { is_valid_flux: isValid } = require(process.argv[2]);

let text = '';
process.stdin.on('data', (part) => (text += part));
process.stdin.on('end', () => console.log(JSON.stringify(JSON.parse(text).map(isValid))));
