/** What is used of jstat, which brings no types. */
declare module 'jstat' {
  const jstat: {
    studentt: {
      /** The value below which Student's t of `dof` degrees of freedom lies with probability p. */
      inv(p: number, dof: number): number
    }
  }
  export default jstat
}
