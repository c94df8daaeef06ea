import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/**', 'data/**', '.tap/**', 'node_modules/**', '.python/**', 'target/**'] }),
  // A TypeBox schema and the type made from it share one name; the compiler itself refuses true redeclarations.
  { files: ['**/*.ts'], rules: { '@typescript-eslint/no-redeclare': 'off' } },
  // The field names of the EdgeIO contract are in snake case, and a destructured field keeps its name.
  { rules: { camelcase: 'off' } }
]
