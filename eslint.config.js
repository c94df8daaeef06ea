import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/**', 'data/**', '.tap/**', 'node_modules/**', '.python/**', 'target/**', '.compiled/**', '.nodes/**'] }),
  // A TypeBox schema and the type made from it share one name; the compiler itself refuses true redeclarations.
  { files: ['**/*.ts'], rules: { '@typescript-eslint/no-redeclare': 'off' } },
  // The field names of the EdgeIO contract are in snake case, and a destructured field keeps its name.
  { rules: { camelcase: 'off' } },
  // A line fits beside another one on a screen, and a file into a head. Tests are tables as often as they are code.
  {
    files: ['**/*.ts'],
    ignores: ['test/**'],
    rules: { '@stylistic/max-len': ['error', { code: 120 }], 'max-lines': ['error', 400] }
  }
]
