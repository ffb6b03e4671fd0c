// Return the drawn molecule as the question. Without an open editor, open it and keep the question.
(question) => {
  const frame = document.querySelector("#editor iframe");
  if (!frame) document.querySelector("#open").click();
  return frame?.contentWindow.drawing?.smiles || question;
}
