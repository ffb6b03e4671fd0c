// Open Ketcher (Apache-2.0), as ipyketcher packs it for notebooks, with the question's molecule if it is a single word.
// A frame keeps its style sheet away from the page. STATIC_FOLDER becomes the folder of ipyketcher's files.
async (question) => {
  const place = document.querySelector("#editor .place");
  if (place.firstChild) return;
  const molecule = /^\S+$/.test(question) ? JSON.stringify(question).replaceAll("<", "") : '""';
  const files = window.gradio_config.root.replace(/\/$/, "") + "/gradio_api/file=STATIC_FOLDER/";
  const frame = document.createElement("iframe");
  frame.title = "molecule editor";
  frame.srcdoc = `<!doctype html>
    <link rel="stylesheet" href="${files}widget.css">
    <style>body { margin: 0 }</style>
    <div id="editor">loading …</div>
    <script type="module">
      const {default: widget} = await import("${files}widget.js");
      // what the widget expects of a notebook's model
      const values = {initial_molecule: ${molecule}, return_formats: ["smiles"], height: "470px", smiles: ""};
      const model = {
        get: (name) => values[name],
        set: (name, value) => { values[name] = value },
        save_changes() {}, on() {}, off() {}, send() {},
      };
      window.drawing = values;
      const el = document.getElementById("editor");
      el.textContent = "";
      await (await widget.render({model, el}));
    <\/script>`;
  place.append(frame);
}
